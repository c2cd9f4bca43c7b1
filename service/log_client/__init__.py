"""
A client of the log service: what is acknowledged once, and nothing left out or twice.

    client      what a program calls
    asking      a call with one answer: its deadline, its attempts, its outcome
    producing   a producer's stream
    following   a consumer's stream
    calling     one attempt: an endpoint, a connection, who calls
    resuming    streams that go on where they were when a server stops, dies or is slow
    sending     what a stream of producers has sent, and what was acknowledged of it
    channels    a channel for each endpoint; certificates are taken in anew on change
    options     how channels are made
    errors      a failure of gRPC, as what it says of the records
    records     records as messages, and back

Importing this package imports nothing: gRPC takes its time.
"""
