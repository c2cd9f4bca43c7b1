"""A sample of a typed REST API: products and articles, in memory."""

from service.catalogue.feature import feature

__all__ = ["feature"]
