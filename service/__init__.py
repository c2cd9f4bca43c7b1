"""
httpserver: the reference cloud-native HTTP service in Python.

`python -m service` is the command line; `service.app.create_app(settings)` builds the
service in a process; `service.server` and `service.resilience` can be imported alone.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
