"""
Import and export of many contacts, streamed: memory does not grow with their number.

An import works in batches, each whole or not there. It can be sent again, as a whole,
after whatever cut it: what is there already is skipped, because its number is taken.
"""

import asyncio
import codecs
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from service.errors import BadRequest, UnsupportedMediaType
from service.phonebook.answers import answered
from service.phonebook.book import PhoneBook
from service.phonebook.formats import WRITERS, csv_records, json_records
from service.phonebook.model import ContactFields, InvalidContact
from service.phonebook.vcards import vcard_records
from service.server.context import RequestContext
from service.server.reading import (
    ClientDisconnected,
    check_coding,
    media_type,
    too_large,
)
from service.server.responses import Response, StreamResponse
from service.server.routes import Route

__all__ = ["transfer_routes"]

_BATCH = 500
_ERRORS = 100
_MAX_ERRORS = 1000
_MAX_DIGITS = 9
_MAX_LINE = 20_000
_LINES_AT_ONCE = 100

_READERS = {
    "text/csv": csv_records,
    "application/jsonl": json_records,
    "application/x-ndjson": json_records,
    "text/vcard": vcard_records,
    "text/x-vcard": vcard_records,
}

Keep = Callable[[PhoneBook, list[ContactFields], dict[str, Any]], Awaitable[None]]
"""Takes a batch, and counts what became of it."""

_EMPTY: dict[str, Any] = {"added": 0, "skipped": 0, "refused": 0}


def transfer_routes(book: PhoneBook, *, path: str) -> list[Route]:
    """Return the routes of import and export below *path*."""

    async def export(ctx: RequestContext) -> Response:
        kind = ctx.query.get("format", "jsonl")
        if kind not in WRITERS:
            raise BadRequest(f"format is one of {', '.join(WRITERS)}.")
        media, write = WRITERS[kind]
        pages = book.everybody()
        # the first page is read before the head is sent: a store that is away is a 503
        first = await anext(pages)
        name = f'attachment; filename="contacts.{kind}"'
        return StreamResponse(
            _written(first, pages, write),
            media_type=media,
            headers={"content-disposition": name, "cache-control": "no-store"},
        )

    async def bring(ctx: RequestContext) -> Response:
        check_coding(ctx.raw_header(b"content-encoding"))
        reader = _READERS.get(media_type(ctx.headers))
        if reader is None:
            kinds = ", ".join(_READERS)
            raise UnsupportedMediaType(
                f"An import reads {kinds}.", headers={"accept": kinds}
            )
        # where a quote may be open nobody knows what a line means that was cut
        lines = _lines(ctx, cut=reader is not csv_records)
        keep = _count if _flag(ctx, "dry_run") else _keep
        records = reader(lines)
        return ctx.write_json(await _imported(book, records, keep, most=_most(ctx)))

    return [
        Route(
            path=f"{path}/export",
            handler=export,
            summary="Give all contacts: `?format=jsonl`, `csv` or `vcard`",
            time_limit=0,
        ),
        Route(
            path=f"{path}/import",
            handler=bring,
            methods=("POST",),
            summary="Take many contacts, as CSV, JSON lines or vCards; with `?dry_run="
            "true` tell what would become of them; `?errors=` is how many are told",
            max_body_bytes=book.settings().max_import_bytes,
            time_limit=0,
        ),
    ]


async def _written(
    first: tuple[Any, ...],
    pages: AsyncIterator[tuple[Any, ...]],
    write: Callable[..., str],
) -> AsyncIterator[bytes]:
    yield write(first, first=True).encode()
    async for page in pages:
        yield write(page, first=False).encode()


async def _imported(
    book: PhoneBook, records: AsyncIterator[Any], keep: Keep, *, most: int
) -> dict[str, Any]:
    result: dict[str, Any] = {**_EMPTY, "errors": []}
    batch: list[ContactFields] = []
    async for line, values in records:
        try:
            if isinstance(values, InvalidContact):
                raise values
            batch.append(book.checked(values))
        except InvalidContact as error:
            result["refused"] += 1
            if len(result["errors"]) < most:
                told = {"line": line, "field": error.field, "reason": error.reason}
                result["errors"].append(told)
        if len(batch) == _BATCH:
            await keep(book, batch, result)
            batch = []
    await keep(book, batch, result)
    return result


async def _keep(
    book: PhoneBook, batch: list[ContactFields], result: dict[str, Any]
) -> None:
    if not batch:
        return
    with answered():
        added = sum(await book.store.add_all(batch))
    result["added"] += added
    result["skipped"] += len(batch) - added


async def _count(
    book: PhoneBook, batch: list[ContactFields], result: dict[str, Any]
) -> None:
    """Tell what would become of *batch*, and change nothing."""
    numbers = {each.number for each in batch}
    with answered():
        added = len(numbers - await book.store.taken(numbers))
    result["added"] += added
    result["skipped"] += len(batch) - added


def _flag(ctx: RequestContext, name: str) -> bool:
    value = ctx.query.get(name, "false")
    if value not in {"true", "false"}:
        raise BadRequest(f"{name} is true or false.")
    return value == "true"


def _most(ctx: RequestContext) -> int:
    """Return how many refused records are told."""
    value = ctx.query.get("errors", str(_ERRORS))
    is_number = value.isascii() and value.isdigit() and len(value) <= _MAX_DIGITS
    if not (is_number and int(value) <= _MAX_ERRORS):
        raise BadRequest(f"errors is a number up to {_MAX_ERRORS}.")
    return int(value)


async def _lines(ctx: RequestContext, *, cut: bool) -> AsyncIterator[str]:
    """
    Yield the lines of the body, without their ends, as they come.

    Args:
        ctx: Whose body.
        cut: Whether one that is too long is cut short, instead of refusing all.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    rest = ""
    async for chunk, last in _chunks(ctx):
        try:
            rest += decoder.decode(chunk, final=last)
        except UnicodeDecodeError:
            raise BadRequest("The body is not UTF-8.") from None
        *whole, rest = rest.split("\n")
        for number, line in enumerate(whole):
            if number % _LINES_AT_ONCE == 0:  # a piece may hold nothing but ends
                await asyncio.sleep(0)
            yield (
                line[: _MAX_LINE + 1].removesuffix("\r")
                if cut
                else line.removesuffix("\r")
            )
        if len(rest) > _MAX_LINE:
            if cut:
                rest = rest[: _MAX_LINE + 1]
                continue
            raise BadRequest(f"A line is longer than {_MAX_LINE} characters.")
    if rest:
        yield rest


async def _chunks(ctx: RequestContext) -> AsyncIterator[tuple[bytes, bool]]:
    """Yield the pieces of the body, and whether each is the last."""
    size = 0
    more = True
    while more:
        message = await ctx.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > ctx.body_limit:
            raise too_large(ctx.body_limit)
        more = message.get("more_body", False)
        yield chunk, not more
