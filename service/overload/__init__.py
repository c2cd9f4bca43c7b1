"""
Protection from overload: shed what is more than the service can do, keep clients to
their rate and parts to their share.
"""

from service.overload.feature import feature

__all__ = ["feature"]
