"""The phone book's routes and store, made from the settings."""

from service.feature import Core, Feature
from service.observability.phonebook_metrics import PhonebookMetrics
from service.phonebook.api import PATH, router
from service.phonebook.book import PhoneBook
from service.phonebook.keeping import KeptStore
from service.phonebook.page import page_routes
from service.phonebook.plain import plain_routes
from service.phonebook.status import status_route
from service.phonebook.transfer import transfer_routes
from service.server.context import RequestContext
from service.settings import PhonebookSettings

__all__ = ["phonebook"]


def phonebook(core: Core) -> Feature:
    """Return the phone book."""

    def settings() -> PhonebookSettings:
        return core.store.current.phonebook

    store = KeptStore(settings, metrics=PhonebookMetrics(core.metrics.shared))

    def user(ctx: RequestContext) -> str:
        return next((name for ask in core.authenticate if (name := ask(ctx))), "")

    book = PhoneBook(store, settings, user=user)
    routes = [*transfer_routes(book, path=PATH), status_route(book, path=PATH)]
    routes += [*page_routes(book), *plain_routes(book)]
    return Feature(routers=[router(book)], routes=routes, parts=[store])
