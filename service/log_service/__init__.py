"""The log service: the commit log by gRPC, on a listener of its own."""

import os

from service.feature import Core, Feature

__all__ = ["feature"]


def feature(core: Core) -> Feature:
    """Return the parts of the log service, where it is switched on."""
    if not core.store.current.log_service.enabled:
        return Feature()
    # else every handshake that fails is a line on stderr, and no JSON
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    # gRPC takes its time to import
    from service.log_service.assembly import log_service

    return log_service(core)
