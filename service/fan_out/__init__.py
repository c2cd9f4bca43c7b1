"""`/fan-out`: calls other services at once and tells the tree of calls."""

from service.feature import Core, Feature

__all__ = ["feature"]


def feature(core: Core) -> Feature:
    """Return the route when the settings switch it on."""
    if not core.store.current.fan_out.enabled:
        return Feature()
    # with the HTTP client, which takes a good part of the start
    from service.fan_out.assembly import fan_out

    return fan_out(core)
