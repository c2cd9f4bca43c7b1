"""
The directories of the local disk, walked so that no path ever leaves the root.

Each name is opened relative to the descriptor of the directory before it, and never
through a symbolic link (`openat` with `O_NOFOLLOW`): a link that somebody puts there
between two steps leads nowhere. What is no regular file of one name (a link, a pipe, a
device, a second name of another file) is not there.
"""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from service.files.errors import InvalidPath, NotFound, PathConflict

__all__ = ["Tree", "is_servable"]

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Without `O_NONBLOCK` a pipe would be waited for."""

_NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.ENODEV}


def is_servable(found: os.stat_result) -> bool:
    """Whether this is a regular file that has no other name."""
    # none at all, when it was replaced after it was opened: it is still one version
    return stat.S_ISREG(found.st_mode) and found.st_nlink <= 1


class Tree:
    """
    The directories below a root, which is made when it is missing.

    Args:
        root: The directory that is served.

    Attributes:
        descriptor: The root's.

    Raises:
        OSError: The root can't be made or opened.

    Concurrency: any thread; changes of directories are for who holds the commit lock.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        # the root may be a link itself: volumes are mounted like that
        self.descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def close(self) -> None:
        """Let go of the root."""
        os.close(self.descriptor)

    @contextmanager
    def directory(self, names: Sequence[str]) -> Iterator[int]:
        """
        Give the descriptor of a directory.

        Raises:
            NotFound: It is not there.
        """
        descriptor = os.dup(self.descriptor)
        try:
            for name in names:
                descriptor = _stepped(descriptor, name)
            yield descriptor
        finally:
            os.close(descriptor)

    def open(self, path: str) -> int:
        """
        Return a descriptor of the file at *path*, for reading.

        Raises:
            NotFound: No regular file of one name is there.
        """
        *parents, name = path.split("/")
        with self.directory(parents) as directory:
            return open_file(directory, name)

    @contextmanager
    def made(self, names: Sequence[str]) -> Iterator[int]:
        """
        Give the descriptor of a directory, made when it is missing.

        What was made is durable; it is taken away again if the block raises.

        Raises:
            PathConflict: A file is in the way.
        """
        descriptor = os.dup(self.descriptor)
        try:
            for name in names:
                _make(descriptor, name)
                try:
                    descriptor = _stepped(descriptor, name)
                except NotFound:
                    raise PathConflict from None
            yield descriptor
        except BaseException:
            self.prune(names)
            raise
        finally:
            os.close(descriptor)

    def prune(self, names: Sequence[str]) -> None:
        """Remove the directory *names* and those above it, as far as they are empty."""
        for depth in range(len(names), 0, -1):
            try:
                with self.directory(names[: depth - 1]) as parent:
                    os.rmdir(names[depth - 1], dir_fd=parent)
            except (OSError, NotFound):
                return


def open_file(directory: int, name: str) -> int:
    """
    Return a descriptor of the file *name* in a directory, for reading.

    Raises:
        NotFound: No regular file of one name is there.
    """
    with _not_there():
        descriptor = os.open(name, _FILE, dir_fd=directory)
    if not is_servable(os.fstat(descriptor)):
        os.close(descriptor)
        raise NotFound
    return descriptor


def _stepped(descriptor: int, name: str) -> int:
    """Return the directory *name* in *descriptor*, which is closed if it is there."""
    with _not_there():
        following = os.open(name, _DIRECTORY, dir_fd=descriptor)
    os.close(descriptor)
    return following


def _make(directory: int, name: str) -> None:
    with suppress(FileExistsError):
        os.mkdir(name, dir_fd=directory)
        os.fsync(directory)


@contextmanager
def _not_there() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise InvalidPath("A name is too long.") from None
        if error.errno in _NOT_THERE:
            raise NotFound from None
        raise
