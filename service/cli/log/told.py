"""What `httpserver log produce` tells of the lines that it was given."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import typer

from service.cli.log.lines import BadLine
from service.cli.output import complain, write

__all__ = ["STREAM", "Done", "cuts", "sums"]

STREAM = Path("-")
"""The file that is standard input."""


@dataclass(slots=True)
class Done:
    """
    What became of the lines.

    Attributes:
        skipped: Lines that were left out.
        under_way: Lines of each batch that is not acknowledged, the oldest first.
        count: Lines that were acknowledged.
        first: Offset of the first one.
        last: Offset of the last one.
    """

    skipped: int
    under_way: deque[int] = field(default_factory=deque)
    count: int = 0
    first: int = -1
    last: int = -1

    def give(self, count: int) -> None:
        """Note a batch that the client gets, which leaves out empty ones."""
        if count:
            self.under_way.append(count)

    def add(self, offset: int, count: int) -> None:
        """Count a batch that was acknowledged."""
        self.under_way.popleft()
        self.first = self.first if self.count else offset
        self.count += count
        self.last = offset + count - 1

    @property
    def next_line(self) -> int:
        """The one behind those that were acknowledged."""
        return self.skipped + self.count + 1

    def following(self, count: int) -> str:
        """Name so many lines from there on."""
        begin, end = self.next_line, self.next_line + count - 1
        return f"line {begin}" if begin == end else f"lines {begin} to {end}"


@contextmanager
def cuts(file: Path, done: Done, *, told: bool) -> Iterator[None]:
    """Tell what is stored when the block is cut, and what else is wrong with a file."""
    from service.commitlog.errors import CommitLogError, RecordTooLarge, WritesRefused

    name = "standard input" if file == STREAM else file
    try:
        yield
    except BadLine as error:
        complain(f"{name}: {error}" if told else str(error))
        _tell_cut(done, in_doubt=False, told=told)
        raise typer.Exit(2) from None
    except OSError as error:
        complain(f"{name}: {error.strerror}")
        _tell_cut(done, in_doubt=False, told=told)
        raise typer.Exit(2) from None
    except CommitLogError as error:
        if told and done.under_way and isinstance(error, RecordTooLarge):
            complain(f"{name}: {_too_large(done)}")
        _tell_cut(done, in_doubt=isinstance(error, WritesRefused), told=told)
        raise
    except KeyboardInterrupt:
        _tell_cut(done, in_doubt=True, told=told)
        raise


def _too_large(done: Done) -> str:
    """Name what was refused: of what is not acknowledged, the batch sent first."""
    count = done.under_way[0]
    lines = done.following(count)
    if count == 1:
        return f"{lines} is too large"
    return f"one of {lines} is too large, or all at once: --batch 1 tells which"


def _tell_cut(done: Done, *, in_doubt: bool, told: bool) -> None:
    if not told:
        if in_doubt and done.under_way:
            complain("what has no offset above may be stored or not")
        return
    write(sums(done))
    if in_doubt and done.under_way:
        lines = done.following(sum(done.under_way))
        complain(f"{lines} may be stored or not, and nothing behind is")
    complain(f"to go on: --from-line {done.next_line}")


def sums(done: Done) -> str:
    """Return how many lines were acknowledged, and where they are."""
    if not done.count:
        return "0 records acknowledged"
    noun = "record" if done.count == 1 else "records"
    return f"{done.count} {noun} acknowledged, offsets {done.first} to {done.last}"
