"""The phone book's routes and store, made from the settings."""

from service.feature import Core, Feature
from service.observability.phonebook_metrics import PhonebookMetrics
from service.phonebook.keeping import KeptStore
from service.settings import PhonebookSettings

__all__ = ["phonebook"]


def phonebook(core: Core) -> Feature:
    """Return the phone book."""

    def settings() -> PhonebookSettings:
        return core.store.current.phonebook

    store = KeptStore(settings, metrics=PhonebookMetrics(core.metrics.shared))
    return Feature(parts=[store])
