"""An import leaves the event loop to others, whatever comes."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from service.phonebook.transfer import transfer_routes
from service.server.context import RequestContext
from service.settings import PhonebookSettings

SCOPE = {"method": "POST", "path": "/contacts/import", "query_string": b""}


def importing(kind: bytes, body: bytes):
    """Return what answers an import of *body*, which has come as one piece."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    scope = {**SCOPE, "headers": [(b"content-type", kind)]}
    ctx: Any = RequestContext(scope, receive, None, body_limit=len(body))
    book: Any = SimpleNamespace(settings=PhonebookSettings)
    route = next(
        each
        for each in transfer_routes(book, path="/contacts")
        if each.path == "/contacts/import"
    )
    return route.handler(ctx)


@pytest.mark.parametrize("kind", [b"text/csv", b"application/jsonl", b"text/vcard"])
async def test_lines_of_no_use_do_not_hold_others_up(kind):
    """Others get their turn while a piece of many lines is read."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.ensure_future(other())
    answer = await importing(kind, b"\n" * 10_000)
    task.cancel()

    assert answer.status == 200
    assert turns > 10
