"""`httpserver log verify`, `stats`, `dump` and `repair`: care for a directory."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.output import complain, write

if TYPE_CHECKING:
    from service.commitlog.inspection import Inspection
    from service.commitlog.record import Record

__all__ = ["dump", "repair", "stats", "verify"]


def _with_log(directory: Path) -> Path:
    """Refuse what holds no log: a name mistyped must not pass for one that is whole."""
    if any(directory.glob("*.log")) or (directory / "synced").exists():
        return directory
    streams = sorted(str(each.parent) for each in directory.glob("*/synced"))
    hint = f" Name one of its streams: {', '.join(streams)}" if streams else ""
    raise typer.BadParameter(f"{directory} holds no log.{hint}")


Directory = Annotated[
    Path,
    typer.Argument(
        exists=True,
        file_okay=False,
        callback=_with_log,
        metavar="DIRECTORY",
        help="The log's directory.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Write JSON.")]


def verify(directory: Directory, *, as_json: Json = False) -> None:
    """
    Read every record: exit code 0 when all are whole, 1 when one is damaged.

    A torn tail above the synced mark is told and is no damage: the next start cuts it.
    Nothing is changed and no lock taken.
    """
    found = _inspected(directory)
    if as_json:
        write(json.dumps({**asdict(found), "damaged": found.damaged}))
    else:
        _tell(found)
    raise typer.Exit(int(found.damaged))


def stats(directory: Directory, *, as_json: Json = False) -> None:
    """Print offsets, sizes and times, all together and per segment."""
    found = _inspected(directory)
    segments = found.segments
    total = {
        "segments": len(segments),
        "records": sum(each.records for each in segments),
        "bytes": sum(each.bytes for each in segments),
        "lowest_offset": segments[0].base_offset if segments else 0,
        "next_offset": segments[-1].next_offset if segments else 0,
        "synced_offset": found.synced_offset,
    }
    if as_json:
        write(json.dumps({**total, "each": [asdict(each) for each in segments]}))
        return
    for name, number in total.items():
        write(f"{name:14} {number}")
    for each in segments:
        write(f"{each.name}  {each.records} records  {each.bytes} bytes")


def dump(
    directory: Directory,
    *,
    offset: Annotated[int, typer.Option(min=0, help="First offset.")] = 0,
    count: Annotated[int | None, typer.Option(min=0, help="Most records.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line, bytes in base64.")
    ] = False,
) -> None:
    """Print records, one a line; exit code 1 at the first damage."""
    from service.cli.log.forms import as_json as form
    from service.commitlog.inspection import records

    with _failures():
        for record in records(directory, offset):
            if count is not None and record.offset >= offset + count:
                return
            write(form(record) if as_json else _as_line(record))


def repair(directory: Directory, *, as_json: Json = False) -> None:
    """
    Cut the log at its first damage; everything after it is saved in `.torn` files.

    Records after the damage are lost to readers, acknowledged ones too: restore a copy
    instead when there is one. Exit code 1 when a process writes to the log.
    """
    from service.commitlog.inspection import repair as mend

    with _failures():
        saved = [str(path) for path in mend(directory)]
    found = _inspected(directory)
    end = found.segments[-1].next_offset if found.segments else 0
    if as_json:
        write(json.dumps({"saved": saved, "next_offset": end}))
        return
    for path in saved:
        write(f"saved {path}")
    write(f"the log ends before offset {end}")


@contextmanager
def _failures() -> Iterator[None]:
    from service.commitlog.errors import CommitLogError

    try:
        yield
    except CommitLogError as error:
        complain(str(error))
        raise typer.Exit(1) from None
    except OSError as error:
        complain(f"{error.filename}: {error.strerror}")
        raise typer.Exit(1) from None


def _inspected(directory: Path) -> "Inspection":
    from service.commitlog.inspection import inspect

    with _failures():
        return inspect(directory)


def _tell(found: "Inspection") -> None:
    if found.problem:
        complain(found.problem)
    for each in found.segments:
        if each.problem:
            kind = "torn tail" if each.torn else "damaged"
            complain(f"{each.name}: {kind} at byte {each.position}: {each.problem}")
    count = sum(each.records for each in found.segments)
    write(f"{count} whole records in {len(found.segments)} segments")


def _as_line(record: "Record") -> str:
    key = "" if record.key is None else f" key={record.key!r}"
    headers = "".join(f" {name!r}={value!r}" for name, value in record.headers)
    return f"{record.offset} {record.timestamp}{key}{headers} {record.value!r}"
