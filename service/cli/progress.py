"""How far a command is, on standard error: a bar on a terminal, else nothing."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

__all__ = ["counting"]

Advance = Callable[[int, int], None]
"""Is told how much is done, and how much there is to do, 0 while nobody knows."""


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


@contextmanager
def _shown(name: str, unit: str) -> Iterator[Advance]:
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
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(name, total=None)

        def advance(done: int, whole: int) -> None:
            progress.update(task, completed=done, total=whole or None)

        yield advance
