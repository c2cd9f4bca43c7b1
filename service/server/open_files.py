"""
How many files the process may have open: each connection is one.

The soft limit is often 1,024 for the sake of programs that use `select`; this one does
not, so it takes what it may have, as Go's runtime does.
"""

import contextlib

from service.observability.logging import get_logger

__all__ = ["RESERVE", "raise_limit"]

RESERVE = 200
"""Files besides connections: log, settings, listeners, a store's connections."""


def raise_limit(connections: int) -> int:
    """
    Raise the soft limit to the hard one; warn when that is too low for *connections*.

    Args:
        connections: How many the service is to hold; 0 is no limit.

    Returns:
        The limit now; 0 where there is none or nobody knows.
    """
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource  # not on every platform

        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        if hard == resource.RLIM_INFINITY:
            return 0
        if hard < connections + RESERVE:
            log = get_logger("httpserver.server")
            log.warning("open_files_limited", limit=hard, max_connections=connections)
        return hard
    return 0
