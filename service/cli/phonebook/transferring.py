"""`httpserver phonebook import` and `export`."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Literal

import typer

from service.cli.batch import PushgatewayOption, measured
from service.cli.input import standard_input
from service.cli.output import complain, write, write_bytes
from service.cli.remote import calls

if TYPE_CHECKING:
    from service.cli.phonebook.pieces import Piece
    from service.getting.asking import Ask
    from service.getting.calling import Caller

__all__ = ["export", "import_contacts"]

STREAM = Path("-")
_MOST_ERRORS = 500

FormatOption = Annotated[
    Literal["csv", "jsonl", "vcard"] | None,
    typer.Option("--format", help="By the name of the file without."),
]


@dataclass(slots=True)
class _Sums:
    """
    What became of an import so far.

    Attributes:
        sums: Records by what became of them.
        last: Line up to which this was acknowledged.
        again: Whether a piece had to be sent twice.
        is_done: Whether the whole file was.
    """

    sums: dict[str, int] = field(
        default_factory=lambda: {"added": 0, "skipped": 0, "refused": 0}
    )
    last: int = 0
    again: bool = False
    is_done: bool = False


@dataclass(frozen=True, slots=True)
class _Source:
    """A file, its format, and the line that is begun at."""

    file: BinaryIO
    form: str
    begin: int


@calls
def import_contacts(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Contacts; - is standard input.")
    ],
    *,
    ask: "Ask",
    form: FormatOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would be done, do nothing.")
    ] = False,
    from_line: Annotated[
        int, typer.Option(metavar="N", min=1, help="Leave out the records before it.")
    ] = 1,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="JSON lines: refused records, and sums."),
    ] = False,
    pushgateway: PushgatewayOption = None,
) -> None:
    """
    Add the contacts of a file: CSV with a head, JSON lines, or vCards (3.0, 4.0).

    Contacts whose number is taken are skipped, so the same file may be sent again.
    Records that are no contacts are told by their line, and the rest is added; exit
    code 1 then. What was cut tells up to which line all is there.
    """
    wanted = form or _format(file)
    found = _Sums()
    with measured("phonebook import", pushgateway), ExitStack() as stack:
        opened = _opened(file, stack)
        source = _Source(opened, wanted, from_line)
        refuse = _teller(file, as_json=as_json)
        try:
            asyncio.run(_sent(ask, source, found, refuse, dry_run=dry_run))
        finally:  # also after Ctrl-C, or when the service went away
            _tell(found, as_json=as_json, dry_run=dry_run)
        if found.sums["refused"]:
            raise typer.Exit(1)


@calls
def export(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Where to; - is standard output.")
    ] = STREAM,
    *,
    ask: "Ask",
    form: FormatOption = None,
    pushgateway: PushgatewayOption = None,
) -> None:
    """
    Write all contacts, oldest first: JSON lines unless a name or --format says CSV or
    vCard.

    A file is whole, or not there; only its owner may read it.
    """
    from service.cli.phonebook.pieces import format_of
    from service.cli.replacing import replacing

    wanted = form or format_of(file.name) or "jsonl"
    with measured("phonebook export", pushgateway):
        if file == STREAM:
            asyncio.run(_received(ask, wanted, write_bytes))
            return
        try:
            with replacing(file) as out:
                asyncio.run(_received(ask, wanted, out.write))
        except OSError as error:
            complain(f"can't write {file}: {error.strerror}")
            raise typer.Exit(2) from None


async def _received(ask: "Ask", form: str, out: Callable[[bytes], Any]) -> None:
    from service.cli.phonebook.book import CONTACTS
    from service.cli.progress import counting
    from service.getting.calling import Caller

    size = 0
    with counting("export", "bytes") as advance:
        async with (
            Caller(ask) as caller,
            caller.stream(f"{CONTACTS}/export", query={"format": form}) as answer,
        ):
            async for chunk in answer.chunks():
                out(chunk)
                size += len(chunk)
                advance(size, 0)


async def _sent(
    ask: "Ask",
    source: "_Source",
    into: _Sums,
    refuse: Callable[[dict[str, Any]], None],
    *,
    dry_run: bool,
) -> None:
    from service.cli.phonebook.pieces import FORMATS, pieces
    from service.cli.progress import counting
    from service.getting.calling import Caller

    head = {"content-type": FORMATS[source.form]}
    query = {"errors": _MOST_ERRORS, "dry_run": "true" if dry_run else ""}
    whole = _size(source.file)
    with counting("import", "bytes") as advance:
        async with Caller(ask) as caller:
            async for piece in _checked(
                pieces(source.file, source.form, begin=source.begin)
            ):
                await _send(caller, piece, head, query, into, refuse)
                advance(piece.read, whole)
    into.is_done = True


async def _checked(found: AsyncIterator["Piece"]) -> AsyncIterator["Piece"]:
    """Yield pieces; tell what makes the file unreadable."""
    from service.errors import ServiceError
    from service.phonebook.model import InvalidContact

    try:
        async for piece in found:
            yield piece
    except InvalidContact as error:
        raise ServiceError(error.reason) from None
    except ValueError as error:
        raise ServiceError(str(error)) from None
    except OSError as error:
        raise ServiceError(f"the file can't be read: {error.strerror}") from None


async def _send(
    caller: "Caller",
    piece: "Piece",
    head: dict[str, str],
    query: dict[str, Any],
    into: _Sums,
    refuse: Callable[[dict[str, Any]], None],
) -> None:
    """Send a piece, and take down what became of it."""
    from service.cli.phonebook.book import CONTACTS
    from service.getting.calling import OtherAnswer

    told: dict[str, Any] = dict.fromkeys(into.sums, 0)
    if piece.sent:
        answer = await caller.call(
            "POST",
            f"{CONTACTS}/import",
            query=query,
            content=piece.body,
            headers=head,
            repeat=True,  # what is there is skipped
        )
        into.again = into.again or answer.attempts > 1
        try:
            told = answer.json()
        except ValueError:
            told = {}
    if not isinstance(told, dict) or not {*into.sums} <= {*told}:
        raise OtherAnswer("what answers is no phone book")
    wrong = [{**e, "line": piece.line_of(e["line"])} for e in told.get("errors", ())]
    for each in sorted([*piece.refused, *wrong], key=lambda each: int(each["line"])):
        refuse(each)
    for name in into.sums:
        into.sums[name] += int(told[name])
    into.sums["refused"] += len(piece.refused)
    into.last = piece.last


def _teller(file: Path, *, as_json: bool) -> Callable[[dict[str, Any]], None]:
    """Return what tells of a record that was refused."""
    from service.top.words import plain

    def tell(record: dict[str, Any]) -> None:
        if as_json:
            write(json.dumps(record, ensure_ascii=False))
        else:
            told = (record.get(name) for name in ("line", "field", "reason"))
            complain(plain(": ".join(map(str, [file, *told]))))

    return tell


def _tell(found: _Sums, *, as_json: bool, dry_run: bool) -> None:
    if not found.is_done:
        if not found.last:  # the reason alone is told
            return
        goes_on = f"--from-line {found.last + 1} goes on from there"
        complain(f"it was cut off after line {found.last}: {goes_on}")
    if as_json:
        told = {**found.sums, "last_line": found.last, "done": found.is_done}
        write(json.dumps({**told, "dry_run": dry_run}))
        return
    sums = ", ".join(f"{count} {name}" for name, count in found.sums.items())
    write(f"it would be: {sums}" if dry_run else sums)
    if found.again and found.sums["skipped"]:
        complain("an answer was lost: of the skipped ones some may have been added")


def _format(file: Path) -> str:
    from service.cli.phonebook.pieces import format_of

    found = format_of(file.name)
    if found is None:
        raise typer.BadParameter(f"{file}: say its --format: csv, jsonl or vcard")
    return found


def _opened(file: Path, stack: ExitStack) -> BinaryIO:
    if file == STREAM:
        return standard_input()
    try:
        return stack.enter_context(file.open("rb"))
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}") from None


def _size(file: BinaryIO) -> int:
    """Return the bytes of a file, 0 for a stream."""
    if not file.seekable():
        return 0
    here = file.tell()
    size = file.seek(0, os.SEEK_END)
    file.seek(here)
    return size
