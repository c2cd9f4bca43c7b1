"""
Files on their way: written where no client can look, then renamed or thrown away.

They are in one hidden directory of the root, since a rename is atomic within one file
system alone. Who writes one holds a lock on it, which the kernel takes back when the
process dies: so whatever nobody holds was left behind, and is swept at the next start,
while other processes that share the root go on with theirs.
"""

import fcntl
import os
import secrets
from contextlib import suppress

from service.files.digests import Hashing

__all__ = ["Arrival", "Arrivals", "take_lock", "write_all"]

SUFFIX = ".tmp"

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Arrival:
    """
    A file on its way.

    Args:
        descriptor: Of the file, which is locked.
        name: Its name in the hidden directory.

    Attributes:
        size: Bytes that were written.
        counted: How many of them the quota knows of already.
        arriving: Bytes that its store counts as on their way.
        replaced: Bytes of the file that it will take the place of.

    Concurrency: one thread at a time.
    """

    __slots__ = ("arriving", "counted", "descriptor", "name", "replaced", "size")

    def __init__(self, descriptor: int, name: str, *, size: int = 0) -> None:
        self.descriptor = descriptor
        self.name = name
        self.size = size
        self.counted = 0
        self.arriving = 0
        self.replaced = 0

    def write(self, data: bytes, hashing: Hashing) -> None:
        """Write the next bytes."""
        write_all(self.descriptor, data)
        hashing.update(data)
        self.size += len(data)


class Arrivals:
    """
    The hidden directory.

    Args:
        directory: Its descriptor.

    Concurrency: any thread, any process.
    """

    def __init__(self, directory: int) -> None:
        self.directory = directory

    def create(self) -> Arrival:
        """Return a new file."""
        while True:
            name = secrets.token_hex(16) + SUFFIX
            descriptor = os.open(name, _FLAGS, 0o644, dir_fd=self.directory)
            # another process that starts just now may have swept it before the lock
            if take_lock(descriptor) and os.fstat(descriptor).st_nlink:
                return Arrival(descriptor, name)
            os.close(descriptor)

    def land(self, arrival: Arrival, directory: int, name: str) -> None:
        """Give a file its place, over what is there."""
        os.rename(arrival.name, name, src_dir_fd=self.directory, dst_dir_fd=directory)
        arrival.name = ""

    def discard(self, arrival: Arrival) -> None:
        """Close a file; unless it has its place, it is gone."""
        if arrival.name:
            with suppress(FileNotFoundError):
                os.unlink(arrival.name, dir_fd=self.directory)
        os.close(arrival.descriptor)

    def sweep(self) -> int:
        """Remove what nobody writes any more; return how many files that were."""
        with os.scandir(self.directory) as entries:
            left = [each.name for each in entries if each.name.endswith(SUFFIX)]
        return sum(map(self._swept, left))

    def _swept(self, name: str) -> bool:
        try:
            descriptor = os.open(
                name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.directory
            )
        except OSError:
            return False  # it has gone, or is nothing of ours
        try:
            if not take_lock(descriptor):
                return False
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self.directory)
            return True
        finally:
            os.close(descriptor)


def take_lock(descriptor: int) -> bool:
    """Take the lock of a file; whether nobody else has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of *data* at the descriptor's position."""
    written = os.write(descriptor, data)
    if written < len(data):
        rest = memoryview(data)[written:]
        while rest:
            rest = rest[os.write(descriptor, rest) :]
