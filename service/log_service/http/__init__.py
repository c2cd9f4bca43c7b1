"""
The log by HTTP, on the public port: for clients that have no gRPC, and for people.

    callers      who calls, by what they show
    requests     what producers send: strict JSON
    answers      records and refusals, as HTTP has them
    appending    records into the log, once for each idempotency key
    following    Server-Sent Events: records as they come
    served       what both sides of it share
    api          the routes for programs
    page         `/log`, for people
"""
