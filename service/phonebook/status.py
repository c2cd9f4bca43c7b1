"""How many contacts there are, for clients that want no more than that."""

from service.phonebook.book import PhoneBook
from service.server.context import RequestContext
from service.server.responses import Response
from service.server.routes import Route

__all__ = ["status_route"]


def status_route(book: PhoneBook, *, path: str) -> Route:
    """Return the route below *path* that counts the contacts."""

    async def status(ctx: RequestContext) -> Response:
        return ctx.write_json(
            {"contacts": await book.count()}, headers={"cache-control": "no-store"}
        )

    return Route(path=f"{path}/status", handler=status, summary="Count the contacts")
