"""What commands write, and how they fail to."""

import codecs
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

__all__ = ["complain", "terminal_width", "write", "write_bytes"]


def complain(line: str) -> None:
    """Write *line* to standard error."""
    typer.echo(line, err=True)


def terminal_width() -> int | None:
    """Return the columns of the terminal, or None when the output is another."""
    terminal = sys.stdout is not None and sys.stdout.isatty()
    return shutil.get_terminal_size().columns if terminal else None


def write(text: str) -> None:
    """
    Write *text* to standard output and its end of line.

    A reader that is gone (`| head`) ends the command silently, a full disk with a word.
    What its encoding has no sign for is written as an escape.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    if codecs.lookup(encoding).name == "ascii":  # which `echo` does not believe
        encoding = "utf-8"
    with _heeding_the_reader():
        typer.echo(text.encode(encoding, "backslashreplace").decode(encoding))


def write_bytes(data: bytes) -> None:
    """Write *data* to standard output as it is, at once; otherwise as `write`."""
    if sys.stdout is None:
        complain("there is no standard output")
        raise typer.Exit(1)
    with _heeding_the_reader():
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


@contextmanager
def _heeding_the_reader() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            complain(f"can't write to standard output: {error.strerror}")
        # What is still held would be written, and fail, when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
