"""How far a command is, on standard error: a bar on a terminal, else nothing."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["Begin", "counting", "transfers"]

Advance = Callable[[int, int], None]
"""Is told how much is done, and how much there is to do, 0 while nobody knows."""

Begin = Callable[[str], AbstractContextManager[Advance]]
"""Begins one of several transfers, for as long as its block lasts."""


def counting(name: str, unit: str) -> AbstractContextManager[Advance]:
    """
    Show how far a block is, where standard error is a terminal.

    Args:
        name: What is done.
        unit: What is counted; `bytes` are shown in larger units too.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        return nullcontext(lambda _done, _all: None)
    return _shown(name, unit)


def transfers() -> AbstractContextManager[Begin]:
    """Show the bytes of several transfers, a bar for each that is under way."""
    if sys.stderr is None or not sys.stderr.isatty():
        return nullcontext(lambda _name: nullcontext(lambda _done, _all: None))
    return _several()


@contextmanager
def _several() -> Iterator[Begin]:
    with _bars("bytes") as progress:

        @contextmanager
        def begin(name: str) -> Iterator[Advance]:
            task = progress.add_task(name, total=None)
            try:
                yield lambda done, whole: progress.update(
                    task, completed=done, total=whole or None
                )
            finally:
                progress.remove_task(task)

        yield begin


@contextmanager
def _shown(name: str, unit: str) -> Iterator[Advance]:
    with _bars(unit) as progress:
        task = progress.add_task(name, total=None)

        def advance(done: int, whole: int) -> None:
            progress.update(task, completed=done, total=whole or None)

        yield advance


def _bars(unit: str) -> "Progress":
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    amount = (
        [DownloadColumn()]
        if unit == "bytes"
        else [MofNCompleteColumn(), TextColumn(unit)]
    )
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        *amount,
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True))
