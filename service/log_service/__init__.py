"""The log service: the commit log by gRPC, on a listener of its own."""

from service.feature import Core, Feature

__all__ = ["feature"]


def feature(core: Core) -> Feature:
    """Return the parts of the log service, where it is switched on."""
    if not core.store.current.log_service.enabled:
        return Feature()
    # gRPC takes its time to import
    from service.log_service.assembly import log_service

    return log_service(core)
