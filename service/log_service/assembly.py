"""The log service, put together from the settings."""

from service.feature import Core, Feature

__all__ = ["log_service"]


def log_service(core: Core) -> Feature:
    """Return the parts of the log service."""
    del core
    return Feature()
