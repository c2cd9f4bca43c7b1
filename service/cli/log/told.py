"""What `httpserver log produce` tells of the lines that it was given."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
        taken: Lines that were given to the client.
        count: Lines of these that were acknowledged.
        first: Offset of the first one.
        last: Offset of the last one.
    """

    skipped: int
    taken: int = 0
    count: int = 0
    first: int = -1
    last: int = -1

    def add(self, offset: int, count: int) -> None:
        """Count a batch."""
        self.first = self.first if self.count else offset
        self.count += count
        self.last = offset + count - 1


@contextmanager
def cuts(file: Path, done: Done, *, told: bool) -> Iterator[None]:
    """Tell what is stored when the block is cut, and what else is wrong with a file."""
    from service.commitlog.errors import CommitLogError, WritesRefused

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
        _tell_cut(done, in_doubt=isinstance(error, WritesRefused), told=told)
        raise
    except KeyboardInterrupt:
        _tell_cut(done, in_doubt=True, told=told)
        raise


def _tell_cut(done: Done, *, in_doubt: bool, told: bool) -> None:
    if not told:
        if in_doubt and done.taken > done.count:
            complain("what has no offset above may be stored or not")
        return
    write(sums(done))
    last = done.skipped + done.count
    if in_doubt and done.taken > done.count:
        end = done.skipped + done.taken
        lines = f"line {end}" if end == last + 1 else f"lines {last + 1} to {end}"
        complain(f"{lines} may be stored or not, and nothing behind is")
    complain(f"to go on: --from-line {last + 1}")


def sums(done: Done) -> str:
    """Return how many lines were acknowledged, and where they are."""
    if not done.count:
        return "0 records acknowledged"
    noun = "record" if done.count == 1 else "records"
    return f"{done.count} {noun} acknowledged, offsets {done.first} to {done.last}"
