"""One call from the command line: what comes back, how long each step took."""
