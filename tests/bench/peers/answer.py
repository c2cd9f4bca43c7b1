"""The small JSON answer of every peer; ours has the same fields."""

ANSWER = {"name": "httpserver", "version": "0.1.0", "python": "3.x", "host": "bench"}
