"""`httpserver log consume` and `tail`."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.log.forms import as_json as form
from service.cli.log.remote import Server, calls_log
from service.cli.output import write_bytes

if TYPE_CHECKING:
    from service.commitlog.record import Record
    from service.log_client.client import LogClient

__all__ = ["consume", "tail"]

_EARLIEST, _LATEST = "earliest", "latest"
_MOST_DIGITS = 18
"""Of an offset: any that there can be is below 10^18."""

FromOption = Annotated[
    str,
    typer.Option(
        "--from",
        metavar="OFFSET|earliest|latest|TIME",
        help="Where to begin: an offset, -N for the last N, or a time such as "
        "2026-01-31T12:00 (local, unless it has a zone).",
    ),
]
CountOption = Annotated[
    int | None,
    typer.Option("--count", "-n", metavar="N", min=1, help="End after so many."),
]
Json = Annotated[
    bool, typer.Option("--json", help="One JSON object a line, bytes in base64.")
]


@calls_log
def consume(
    *,
    server: Server,
    begin: FromOption = _EARLIEST,
    count: CountOption = None,
    as_json: Json = False,
) -> None:
    """
    Print the records that there are: values, one a line, or JSON.

    Exit codes: 0 done, 1 refused (an offset that is not there), 2 wrong usage, 4 no
    answer, 130 Ctrl-C.
    """
    start = _start(begin)
    asyncio.run(_printed(server, start, count, follow=False, as_json=as_json))


@calls_log
def tail(
    *,
    server: Server,
    begin: FromOption = _LATEST,
    count: CountOption = None,
    as_json: Json = False,
) -> None:
    """
    Print records as they come, until Ctrl-C; a service that restarts is waited for.

    Exit codes: those of `consume`.
    """
    start = _start(begin)
    asyncio.run(_printed(server, start, count, follow=True, as_json=as_json))


async def _printed(
    server: Server,
    start: "str | int | datetime",
    count: int | None,
    *,
    follow: bool,
    as_json: bool,
) -> None:
    terminal = sys.stdout is not None and sys.stdout.isatty()
    async with server.client() as client:
        batches = _from(client, start, follow=follow)
        async with aclosing(_first(batches, count)) as some:
            async for batch in some:
                lines = (_line(each, as_json, terminal) for each in batch)
                write_bytes(b"".join(lines))


async def _from(
    client: "LogClient", start: "str | int | datetime", *, follow: bool
) -> AsyncGenerator[list["Record"], None]:
    """Yield the records from *start* on; it may go before it is read, unless named."""
    from service.commitlog.reading import from_lowest

    offset = await _offset(client, start)
    begin = client.follow if follow else client.between
    batches = begin(offset) if offset == start else from_lowest(begin, offset)
    async with aclosing(batches):
        async for batch in batches:
            yield batch


async def _first(
    batches: AsyncGenerator[list["Record"], None], count: int | None
) -> AsyncGenerator[list["Record"], None]:
    """Yield the first *count* records, in batches."""
    async with aclosing(batches):
        async for batch in batches:
            yield batch if count is None else batch[:count]
            if count is not None:
                count -= len(batch)
                if count <= 0:
                    return


def _line(record: "Record", as_json: bool, terminal: bool) -> bytes:  # noqa: FBT001 - private
    from service.top.words import plain

    if as_json:
        return form(record).encode() + b"\n"
    if terminal:
        return plain(record.value.decode("utf-8", "replace")).encode() + b"\n"
    return record.value + b"\n"


def _start(text: str) -> "str | int | datetime":
    """Return where to begin, as far as it can be told without the service."""
    if text in (_EARLIEST, _LATEST):
        return text
    digits = text.removeprefix("-")
    if digits.isdecimal() and text.isascii() and len(digits) <= _MOST_DIGITS:
        return int(text)
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError, OSError):
        wanted = "an offset, earliest, latest, or a time such as 2026-01-31T12:00"
        raise typer.BadParameter(f"--from {text!r} is not {wanted}") from None


async def _offset(client: "LogClient", start: "str | int | datetime") -> int:
    if isinstance(start, datetime):
        return await client.offset_at(int(start.timestamp() * 1000))
    if isinstance(start, int) and start >= 0:
        return start
    lowest, end = await client.offsets()
    if isinstance(start, int):
        return max(lowest, end + start)
    return lowest if start == _EARLIEST else end
