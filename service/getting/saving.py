"""A large answer into a file, with a progress bar, from where the last one broke."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from service.client.answers import Response
from service.client.errors import InvalidAnswer

__all__ = ["NothingToDo", "range_from", "save"]

PARTIAL = 206
CLIENT_ERROR = 400
UNSATISFIABLE = 416

_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]+/(?:[0-9]+|\*)")
_SIZE = re.compile(r"bytes \*/([0-9]{1,18})")


class NothingToDo(Exception):
    """The file is whole."""


def range_from(file: Path) -> list[tuple[str, str]]:
    """Return the headers that ask for what *file* lacks."""
    size = _size(file)
    return [("range", f"bytes={size}-")] if size else []


async def save(answer: Response, file: Path, *, resume: bool, bar: bool) -> bool:
    """
    Write the body to *file*: behind what is there when the answer is the part that the
    file lacks, else in its place.

    Args:
        answer: Whose body is still to come.
        file: Where it goes.
        resume: Whether what the file lacks was asked for, and no part of anybody's
            choice.
        bar: Whether progress is shown, on standard error.

    Returns:
        Whether it was: an answer of failure is not.

    Raises:
        NothingToDo: The answer says that the file has all there is.
        OSError: The file can't be written.
        UpstreamError: The body broke off; what came is in the file.
    """
    have = _offset(answer, file) if resume else 0
    if answer.status >= CLIENT_ERROR:
        return False
    length = answer.headers.get("content-length", "")
    encoded = "content-encoding" in answer.headers
    total = have + int(length) if length.isdigit() and not encoded else None
    with file.open("r+b" if have else "wb") as out, _progress(file, bar=bar) as advance:
        if have:  # a device or a pipe can do neither
            out.seek(have)
            out.truncate()
        advance(have, total)
        async for chunk in answer.chunks():
            out.write(chunk)
            advance(len(chunk), total)
    return True


def _size(file: Path) -> int:
    """Return the bytes that are there; what can't be one is told when it is written."""
    try:
        return file.stat().st_size if file.is_file() else 0
    except OSError:
        return 0


def _offset(answer: Response, file: Path) -> int:
    """Return where the answer begins in the file."""
    said = answer.headers.get("content-range", "")
    have = _size(file)
    if answer.status == UNSATISFIABLE:
        size = _SIZE.fullmatch(said)
        if size and int(size[1]) == have:
            raise NothingToDo
        return 0
    if answer.status != PARTIAL:
        return 0
    found = _RANGE.fullmatch(said)
    if found is None or int(found[1]) > have:
        raise InvalidAnswer(
            "it sends another part than was asked for",
            service=answer.upstream,
            reason="protocol",
        )
    return int(found[1])


Advance = Callable[[int, int | None], None]
"""Is told of bytes that came, and of all that will, if that is known."""


def _progress(file: Path, *, bar: bool) -> AbstractContextManager[Advance]:
    return _shown(file) if bar else nullcontext(lambda _count, _total: None)


@contextmanager
def _shown(file: Path) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(file.name, total=None)

        def advance(count: int, total: int | None) -> None:
            progress.update(task, advance=count, total=total)

        yield advance
