"""The control endpoints of the admin port: what an operator changes at run time."""

from service.feature import Core, Feature

__all__ = ["feature"]


def feature(core: Core) -> Feature:
    """Return the endpoints when the settings switch them on."""
    if not core.store.current.server.admin.control.enabled:
        return Feature()
    # its models take a good part of the start, and most services do without
    from service.control.assembly import control

    return control(core)
