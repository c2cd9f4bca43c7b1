"""The pages: what a browser gets to see of the service."""

from service.web.feature import feature
from service.web.pages import Pages

__all__ = ["Pages", "feature"]
