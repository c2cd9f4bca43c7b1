"""The pages: what a browser gets to see of the service."""

from service.web.pages import Pages

__all__ = ["Pages"]
