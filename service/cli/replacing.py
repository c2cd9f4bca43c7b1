"""Files that a command writes: whole, or not there."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

__all__ = ["replacing", "sync_directory"]


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """
    Give a file that takes the place of *path* when the block ends; one that raises
    leaves what was there. What is no file (a pipe, a device) is written as it is.

    Only its owner may read it. It is on the disk when it is there.

    Raises:
        OSError: It can't be written.
    """
    if path.exists() and not path.is_file():  # the link of an open pipe leads nowhere
        with path.open("wb") as device:
            yield device
        return
    path = Path(os.path.realpath(path))  # a link stays one
    try:
        # lets nobody else read it
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
    sync_directory(path.parent)


def sync_directory(folder: Path) -> None:
    """Return when the names in *folder* are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
