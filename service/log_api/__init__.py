"""
The log service's API, for its server and its clients alike.

    v1        what `make proto` writes from `proto/log/v1/log.proto`
    errors    the reasons of failures, as statuses and as exceptions

Importing this package imports nothing: gRPC takes its time.
"""
