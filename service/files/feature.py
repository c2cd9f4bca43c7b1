"""The file server, put together from settings and metrics, where it is switched on."""

from service.feature import Core, Feature

__all__ = ["feature"]


def feature(core: Core) -> Feature:
    """Return the routes of the files, and the part that keeps their store."""
    if not core.store.current.files.enabled:
        return Feature()
    # what is off costs no time at the start
    from service.files.assembly import files

    return files(core)
