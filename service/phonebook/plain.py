"""
The plain paths: a phone book for clients that can do no more than GET.

They answer in text. Some of them change contacts though GET should change nothing, and
whoever can make a browser open a link can use them: so they are off, and while they are
a request finds nothing.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from service.errors import NotFound
from service.phonebook.book import PhoneBook
from service.phonebook.model import Contact
from service.server.context import RequestContext
from service.server.responses import TEXT, Response, StreamResponse
from service.server.routes import Route

__all__ = ["plain_routes"]

Answer = Callable[[RequestContext], Awaitable[Response]]


def plain_routes(book: PhoneBook) -> list[Route]:
    """Return the plain paths of *book*."""
    handlers: dict[str, Answer] = {
        "/list": _list(book),
        "/status": _status(book),
        "/search/{number}": _search(book),
        "/insert/{first}/{last}/{number}": _insert(book),
        "/delete/{number}": _delete(book),
    }
    return [
        Route(path=path, handler=_where_on(book, handler))
        for path, handler in handlers.items()
    ]


def _where_on(book: PhoneBook, handler: Answer) -> Answer:
    async def answer(ctx: RequestContext) -> Response:
        if not book.settings().plain_paths:
            raise NotFound("Nothing is at this path.")
        if ctx.method == "HEAD":  # it must change nothing, whatever the path
            return ctx.write_text("")
        response = await handler(ctx)
        response.add_header("cache-control", "no-store")
        return response

    return answer


def _list(book: PhoneBook) -> Answer:
    async def answer(_ctx: RequestContext) -> Response:
        pages = book.everybody()
        first = await anext(pages)

        async def lines() -> Any:
            yield "".join(map(_line, first)).encode()
            async for page in pages:
                yield "".join(map(_line, page)).encode()

        return StreamResponse(lines(), media_type=TEXT)

    return answer


def _status(book: PhoneBook) -> Answer:
    async def answer(ctx: RequestContext) -> Response:
        return ctx.write_text(f"Total entries: {await book.count()}\n")

    return answer


def _search(book: PhoneBook) -> Answer:
    async def answer(ctx: RequestContext) -> Response:
        return ctx.write_text(_line(await _known(book, ctx)))

    return answer


def _insert(book: PhoneBook) -> Answer:
    async def answer(ctx: RequestContext) -> Response:
        names = {"first_name": "first", "last_name": "last", "number": "number"}
        values = {name: ctx.path_params[each] for name, each in names.items()}
        await book.add(ctx, values)
        return ctx.write_text("New record added successfully\n")

    return answer


def _delete(book: PhoneBook) -> Answer:
    async def answer(ctx: RequestContext) -> Response:
        contact = await _known(book, ctx)
        await book.delete(contact.id)
        return ctx.write_text(f"{contact.fields.number} deleted!\n")

    return answer


async def _known(book: PhoneBook, ctx: RequestContext) -> Contact:
    """Return the contact with the number of the path."""
    contact = await book.with_number(ctx.path_params["number"])
    if contact is None:
        raise NotFound("No contact has this number.")
    return contact


def _line(contact: Contact) -> str:
    fields = contact.fields
    return f"{fields.first_name} {fields.last_name}".strip() + f" {fields.number}\n"
