"""`httpserver log produce`."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from service.cli.input import is_text
from service.cli.log.forms import from_json
from service.cli.log.lines import BadLine, groups
from service.cli.log.remote import Server, calls_log
from service.cli.log.told import STREAM, Done, cuts, sums
from service.cli.output import write
from service.cli.progress import counting
from service.cli.remote import read_header

if TYPE_CHECKING:
    from service.commitlog.record import Record
    from service.log_client.client import LogClient

    Form = Callable[[bytes], Record]

__all__ = ["produce"]

_STDIN = 0

IfUnknownOption = Annotated[
    Literal["stop", "deduplicated", "again"],
    typer.Option(
        help="When no answer tells whether lines are stored: stop and say so; send "
        "them again with ids, for a service over JetStream, which stores them once; or "
        "send them again, maybe twice.",
    ),
]


@calls_log
def produce(
    values: Annotated[
        list[str] | None,
        typer.Argument(metavar="VALUE", help="A record each; without, see --file."),
    ] = None,
    *,
    server: Server,
    file: Annotated[
        Path,
        typer.Option(
            "--file", "-f", metavar="FILE", help="A record a line; - is stdin."
        ),
    ] = STREAM,
    key: Annotated[str | None, typer.Option(help="Key of each.")] = None,
    header: Annotated[
        list[str] | None,
        typer.Option(
            "--header",
            "-H",
            metavar="'NAME: VALUE'",
            help="Header of each; repeatable.",
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Records are JSON, bytes in base64, as `consume --json`."
        ),
    ] = False,
    batch: Annotated[
        int, typer.Option(metavar="N", min=1, max=10_000, help="Most records at once.")
    ] = 1000,
    from_line: Annotated[
        int, typer.Option(metavar="N", min=1, help="Leave out the lines before it.")
    ] = 1,
    if_unknown: IfUnknownOption = "stop",
) -> None:
    """
    Append records: the arguments, or the lines of a file as they come.

    Prints the offset of each argument, or how many lines were acknowledged and their
    first and last offset. What was cut tells the line to go on with. A service that
    stops is waited for. Exit codes: 0 all is acknowledged, 1 refused, 2 wrong usage or
    a line that is no record, 4 no answer, 130 Ctrl-C.
    """
    form = _form(key, header, as_json=as_json)
    if values and (file != STREAM or from_line > 1):
        raise typer.BadParameter("either values or a file")
    done = Done(from_line - 1)
    with ExitStack() as stack:
        lines = _given(values) if values else groups(_opened(file, stack), batch)
        records = _records(lines, form, done)
        way = "raise" if if_unknown == "stop" else if_unknown
        with cuts(file, done, told=not values):
            asyncio.run(_produced(server.client(way), records, done, each=bool(values)))
    if not values:
        write(sums(done))


async def _produced(
    client: "LogClient",
    records: AsyncIterator[list["Record"]],
    done: Done,
    *,
    each: bool,
) -> None:
    with counting("produce", "records") as advance:
        async with client, aclosing(client.produce_stream(records)) as batches:
            async for batch in batches:
                done.add(batch.offset, batch.count)
                advance(done.count, 0)
                if each:
                    for offset in range(batch.offset, batch.offset + batch.count):
                        write(str(offset))


async def _records(
    lines: AsyncIterator[list[bytes]], form: "Form", done: Done
) -> AsyncIterator[list["Record"]]:
    number = 0
    async for group in lines:
        found = []
        for line in group:
            number += 1
            if number > done.skipped:
                try:
                    found.append(form(line))
                except ValueError as error:
                    if found:  # what is right goes first
                        done.give(len(found))
                        yield found
                    raise BadLine(number, str(error)) from None
        done.give(len(found))
        yield found


async def _given(values: list[str]) -> AsyncIterator[list[bytes]]:
    yield [each.encode("utf-8", "surrogateescape") for each in values]


def _form(key: str | None, header: list[str] | None, *, as_json: bool) -> "Form":
    """Return what makes a record of a line."""
    if as_json:
        if key is not None or header:
            raise typer.BadParameter("with --json, records have their own keys")
        return from_json
    from service.commitlog.record import Record

    raw = None if key is None else key.encode("utf-8", "surrogateescape")
    pairs = [read_header(each) for each in header or ()]
    if not all(is_text(name) for name, _ in pairs):
        raise typer.BadParameter("the name of a header is text in UTF-8")
    headers = tuple(
        (name, value.encode(errors="surrogateescape")) for name, value in pairs
    )
    return lambda line: Record(line, raw, headers)


def _opened(file: Path, stack: ExitStack) -> int:
    if file == STREAM:
        return _STDIN
    try:
        return stack.enter_context(file.open("rb", buffering=0)).fileno()
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}") from None
