"""Written by `make proto` from `proto/log/v1/log.proto`; not to be edited."""
