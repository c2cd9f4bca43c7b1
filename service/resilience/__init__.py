"""Patterns against overload and failure, as a library that knows nothing of HTTP."""
