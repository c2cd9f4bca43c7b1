"""
What the files take, and the lock under which it changes.

Processes that share a root (workers, or replicas on one volume) must agree on which
version is there and how much all of them take. One small file holds two numbers, bytes
and files (little endian, 8 bytes each), and is the lock too: whoever changes what is
visible holds it for the few system calls that this takes. A process that dies lets go
of it; should the numbers be wrong then, the next start counts anew.
"""

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

__all__ = ["Usage", "UsageFile", "Used"]

_NUMBERS = struct.Struct("<QQ")
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class Used(NamedTuple):
    """
    What files take.

    Attributes:
        size: In bytes.
        files: How many.
    """

    size: int = 0
    files: int = 0


class Usage:
    """
    The numbers, for who holds the lock.

    Args:
        descriptor: Of the file that keeps them.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def get(self) -> Used:
        """Return them."""
        data = os.pread(self._descriptor, _NUMBERS.size, 0)
        return Used(*_NUMBERS.unpack(data)) if len(data) == _NUMBERS.size else Used()

    def set(self, used: Used) -> None:
        """Keep *used*."""
        # never below nothing, should the count have been wrong
        data = _NUMBERS.pack(max(0, used.size), max(0, used.files))
        os.pwrite(self._descriptor, data, 0)

    def add(self, size: int, files: int = 0) -> None:
        """Add what came, or take off what went."""
        used = self.get()
        self.set(Used(used.size + size, used.files + files))


class UsageFile:
    """
    The file with the numbers.

    Args:
        directory: Descriptor of the directory that it is in.
        name: Its name.

    Concurrency: any thread, any process.
    """

    def __init__(self, directory: int, name: str) -> None:
        self._directory = directory
        self._name = name

    @contextmanager
    def locked(self) -> Iterator[Usage]:
        """Give the numbers, and keep everybody else from changing what is visible."""
        # a lock is one of a descriptor: each holder opens the file for itself
        descriptor = os.open(self._name, _FLAGS, 0o600, dir_fd=self._directory)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield Usage(descriptor)
        finally:
            os.close(descriptor)

    def glance(self) -> Used:
        """Return the numbers as they are now, without waiting for the lock."""
        descriptor = os.open(self._name, _FLAGS, 0o600, dir_fd=self._directory)
        try:
            return Usage(descriptor).get()
        finally:
            os.close(descriptor)
