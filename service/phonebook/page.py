"""
`/phonebook`: the contacts for people, in any browser.

Everything works by links and forms; the script of the page asks for the same pages and
puts them where they belong, without a reload. So there is one place that checks, one
that renders, and nothing that works only with a script but undoing and importing.
"""

import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from urllib.parse import urlencode

from service.errors import NotFound, RequestError
from service.phonebook.book import PhoneBook
from service.phonebook.model import Contact
from service.phonebook.page_changes import Changes
from service.phonebook.page_forms import MAX_FORM_BYTES
from service.phonebook.page_search import MAX_TEXT, meant
from service.phonebook.page_views import Views
from service.phonebook.store import Page
from service.server.context import RequestContext
from service.server.responses import Response
from service.server.routes import Handler, Route

__all__ = ["page_routes"]

PATH = "/phonebook"
_ONE = f"{PATH}/contacts/{{contact_id:uuid}}"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SHOWN = 50
_DONE = {"added": "Added.", "changed": "Saved.", "deleted": "Deleted."}

Answer = Callable[[RequestContext], Awaitable[Response]]


def page_routes(book: PhoneBook) -> list[Route]:
    """Return the routes of the page of *book*."""
    views = Views()
    changes = Changes(book, views)
    paged = partial(_paged, views)
    read = {
        PATH: _List(book, views).answer,
        f"{PATH}/new": changes.new,
        _ONE: changes.edit,
        f"{_ONE}/delete": changes.ask,
    }
    send = {
        f"{PATH}/new": changes.add,
        _ONE: changes.change,
        f"{_ONE}/delete": changes.delete,
    }
    routes = [Route(path=path, handler=paged(each)) for path, each in read.items()]
    return routes + [
        Route(
            path=path,
            handler=paged(each),
            methods=("POST",),
            max_body_bytes=MAX_FORM_BYTES,
        )
        for path, each in send.items()
    ]


def _paged(views: Views, handler: Answer) -> Handler:
    """Return the handler with its errors as pages."""

    async def answer(ctx: RequestContext) -> Response:
        try:
            return await handler(ctx)
        except RequestError as error:
            return views.problem(ctx, error)

    return answer


class _List:
    """The list with its search, a page at a time."""

    def __init__(self, book: PhoneBook, views: Views) -> None:
        self._book = book
        self._views = views

    async def answer(self, ctx: RequestContext) -> Response:
        q, cursor = ctx.query.get("q", "")[:MAX_TEXT], ctx.query.get("cursor", "")
        page, following = await self._found(q, cursor)
        return self._views.page(
            ctx,
            "list.html",
            q=q,
            contacts=page.contacts,
            more=following and "?" + urlencode({"q": q, "cursor": following}),
            is_later=bool(cursor),
            region=self._book.settings().region,
            **await self._done(ctx),
        )

    async def _found(self, q: str, cursor: str) -> tuple[Page, str]:
        wanted = meant(q, region=self._book.settings().region)
        if wanted is None:
            return Page(()), ""
        words, number = wanted
        return await self._book.find(
            q=words, number=number, sort=None, limit=_SHOWN, cursor=cursor
        )

    async def _done(self, ctx: RequestContext) -> dict[str, Any]:
        """Return what a form before this page has done."""
        done = _DONE.get(ctx.query.get("done", ""), "")
        found: Contact | None = None
        contact_id = ctx.query.get("id", "")
        if done and _UUID.fullmatch(contact_id):
            try:
                found = await self._book.get(contact_id)
            except NotFound:
                done = ""
        return {"done": done, "done_contact": found}
