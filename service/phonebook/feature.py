"""The phone book, put together from settings and metrics, where it is switched on."""

from service.feature import Core, Feature

__all__ = ["feature"]


def feature(core: Core) -> Feature:
    """Return the routes of the contacts, and the part that keeps their store."""
    if not core.store.current.phonebook.enabled:
        return Feature()
    # the database's library and the plans of all countries take their time to import
    from service.phonebook.assembly import phonebook

    return phonebook(core)
