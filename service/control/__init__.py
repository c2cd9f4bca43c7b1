"""The control endpoints of the admin port: what an operator changes at run time."""

from service.control.feature import feature

__all__ = ["feature"]
