"""Reverse proxy: routes from the settings, answered by other services."""

from service.feature import Core, Feature

__all__ = ["feature"]


def feature(core: Core) -> Feature:
    """Return the proxy when the settings switch it on."""
    if not core.store.current.proxy.enabled:
        return Feature()
    # most services are no proxies
    from service.proxy.assembly import proxy

    return proxy(core)
