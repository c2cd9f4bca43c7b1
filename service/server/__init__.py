"""
The HTTP server core: context, handlers, filters, route tree, listeners, lifecycle.
"""
