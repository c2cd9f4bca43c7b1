"""`/fan-out`: calls other services at once and tells the tree of calls."""

from service.fan_out.feature import feature

__all__ = ["feature"]
