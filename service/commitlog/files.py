"""
The file system as the log sees it: few calls, so that a test can put its own below.

A crash of the machine may lose, tear or reorder every write, and every name, that was
not synced. Tests say so with a file system that does it; here are the protocol and the
real one.
"""

import fcntl
import os
from pathlib import Path
from typing import Protocol

from service.commitlog.errors import LogLocked

__all__ = ["File", "FileSystem", "OsFile", "OsFileSystem"]

_sync = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync


class File(Protocol):
    """
    An open file. Every call raises OSError as the system does.

    Concurrency: `read` may be called from any thread; the others from one.
    """

    def read(self, position: int, size: int) -> bytes:
        """Return up to *size* bytes; fewer only at the end."""

    def write(self, position: int, data: bytes) -> int:
        """Write some of *data*, from its start; return how many bytes."""

    def truncate(self, size: int) -> None:
        """Set the size."""

    def sync(self) -> None:
        """Return once everything written, and the size, is on disk."""

    def size(self) -> int:
        """Return the size in bytes."""

    def close(self) -> None:
        """Close it."""


class FileSystem(Protocol):
    """Directories and names. Every call raises OSError as the system does."""

    def open(self, path: Path, *, create: bool = False, write: bool = True) -> File:
        """Open a file; *create* makes it, or empties one that is there."""

    def names(self, directory: Path) -> list[str]:
        """Return the names in a directory, which is made when it is missing."""

    def remove(self, path: Path) -> None:
        """Remove a name; missing is fine."""

    def rename(self, path: Path, target: Path) -> None:
        """Rename within a directory, over what is there."""

    def sync_directory(self, directory: Path) -> None:
        """Return once the names are on disk."""

    def lock(self, path: Path) -> File:
        """
        Take the lock of the one writer, until the file is closed or the process ends.

        Raises:
            LogLocked: Another has it.
        """


class OsFile:
    """A file of the operating system, by descriptor."""

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, position: int, size: int) -> bytes:
        """Return up to *size* bytes; fewer only at the end."""
        data = os.pread(self._descriptor, size, position)
        while data and len(data) < size:
            more = os.pread(self._descriptor, size - len(data), position + len(data))
            if not more:
                break
            data += more
        return data

    def write(self, position: int, data: bytes) -> int:
        """Write some of *data*; return how many bytes."""
        return os.pwrite(self._descriptor, data, position)

    def truncate(self, size: int) -> None:
        """Set the size."""
        os.ftruncate(self._descriptor, size)

    def sync(self) -> None:
        """Return once everything written is on disk (fdatasync)."""
        _sync(self._descriptor)

    def size(self) -> int:
        """Return the size in bytes."""
        return os.fstat(self._descriptor).st_size

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)


class OsFileSystem:
    """The operating system's files."""

    def open(self, path: Path, *, create: bool = False, write: bool = True) -> OsFile:
        """Open a file; *create* makes it, or empties one that is there."""
        flags = (os.O_RDWR if write else os.O_RDONLY) | os.O_CLOEXEC
        if create:
            flags |= os.O_CREAT | os.O_TRUNC
        return OsFile(os.open(path, flags, 0o640))

    def names(self, directory: Path) -> list[str]:
        """Return the names in a directory, which is made when it is missing."""
        if not directory.is_dir():
            directory.mkdir(parents=True, mode=0o750)
            self.sync_directory(directory.parent)
        return sorted(path.name for path in directory.iterdir())

    def remove(self, path: Path) -> None:
        """Remove a name; missing is fine."""
        path.unlink(missing_ok=True)

    def rename(self, path: Path, target: Path) -> None:
        """Rename, over what is there."""
        path.replace(target)

    def sync_directory(self, directory: Path) -> None:
        """Return once the names are on disk."""
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def lock(self, path: Path) -> OsFile:
        """Take flock on *path*; the kernel frees it when the process ends."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise LogLocked(f"{path.parent}: another process writes here") from None
        return OsFile(descriptor)
