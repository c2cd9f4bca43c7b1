"""
Uploads that were stopped and can go on: bytes and a record of each, in the hidden
directory of the root.

What is acknowledged is on disk, so an upload goes on after a restart of the service or
of its machine. One process at a time writes to one: it holds the lock of the bytes.
"""

import os
import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from service.files.arrivals import Arrival, take_lock
from service.files.disk_errors import told
from service.files.errors import NotFound, StoreUnavailable
from service.files.records import Record, read_record, write_record
from service.files.usage import UsageFile

__all__ = ["BYTES", "Partial", "Partials", "TooMany"]

BYTES = ".part"
"""End of the names of what came so far."""

_RECORD = ".json"
_ID = re.compile(r"[0-9a-f]{32}")
_OPEN = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = _OPEN | os.O_CREAT | os.O_EXCL


class TooMany(Exception):
    """As many uploads wait as may."""


class Partial:
    """
    An upload that somebody goes on with.

    Args:
        upload_id: Its id.
        record: What is known of it.
        arrival: What came of it so far.

    Attributes:
        upload_id: The same.
        record: The same.
        arrival: The same.
    """

    __slots__ = ("arrival", "record", "upload_id")

    def __init__(self, upload_id: str, record: Record, arrival: Arrival) -> None:
        self.upload_id = upload_id
        self.record = record
        self.arrival = arrival


class Partials:
    """
    All of them.

    Args:
        directory: Descriptor of the hidden directory.
        usage: Where their bytes are counted.
        most: Gives how many may wait.

    Concurrency: any thread, any process; each call waits for the disk.
    """

    def __init__(
        self, directory: int, usage: UsageFile, *, most: Callable[[], int]
    ) -> None:
        self.directory = directory
        self._usage = usage
        self._most = most

    def create(self, record: Record) -> Partial:
        """
        Begin an upload.

        Raises:
            TooMany: As many wait as may.
            NoSpace, StoreUnavailable: The disk refuses.
        """
        if sum(name.endswith(BYTES) for name in self._names()) >= self._most():
            raise TooMany
        upload_id = secrets.token_hex(16)
        with told():
            write_record(self.directory, upload_id + _RECORD, record)
            name = upload_id + BYTES
            descriptor = os.open(name, _NEW, 0o644, dir_fd=self.directory)
            take_lock(descriptor)
            os.fsync(self.directory)
        return Partial(upload_id, record, Arrival(descriptor, name))

    def open(self, upload_id: str) -> Partial:
        """
        Return an upload, to go on with it.

        Raises:
            NotFound: There is none of this id.
            StoreUnavailable: Another process has it, or the disk refuses.
        """
        record = self.record(upload_id)
        name = upload_id + BYTES
        with told():
            try:
                descriptor = os.open(name, _OPEN, dir_fd=self.directory)
            except FileNotFoundError:
                raise NotFound from None
        if not take_lock(descriptor):
            os.close(descriptor)
            raise StoreUnavailable("another process has this upload")
        arrival = Arrival(descriptor, name)
        # what a killed process wrote and did not acknowledge counts too
        os.fsync(descriptor)
        arrival.size = arrival.counted = os.lseek(descriptor, 0, os.SEEK_END)
        return Partial(upload_id, record, arrival)

    def record(self, upload_id: str) -> Record:
        """
        Return what is known of an upload.

        Raises:
            NotFound: There is none of this id.
        """
        if _ID.fullmatch(upload_id) is None:
            raise NotFound
        with told():
            try:
                return read_record(self.directory, upload_id + _RECORD)
            except (FileNotFoundError, ValueError):
                raise NotFound from None

    def keep(self, partial: Partial) -> None:
        """Make durable what came, and what is known."""
        with told():
            os.fsync(partial.arrival.descriptor)
            self._count(partial.arrival)
            write_record(self.directory, partial.upload_id + _RECORD, partial.record)

    def complete(self, partial: Partial) -> None:
        """Note that an upload has become a file."""
        arrival = partial.arrival
        length, name = arrival.size, arrival.name
        with told():
            if name:  # it was copied to another place
                arrival.size = 0
                self._count(arrival)
                os.unlink(name, dir_fd=self.directory)
            partial.record = replace(partial.record, complete=True, length=length)
            write_record(self.directory, partial.upload_id + _RECORD, partial.record)

    def shorten(self, partial: Partial, size: int) -> None:
        """Throw away what came behind *size* bytes."""
        with told():
            os.ftruncate(partial.arrival.descriptor, size)
            os.lseek(partial.arrival.descriptor, size, os.SEEK_SET)
        partial.arrival.size = size

    def discard(self, partial: Partial) -> None:
        """Throw an upload away, and let go of it."""
        self.remove(partial)
        self.close(partial)

    def close(self, partial: Partial) -> None:
        """Let another request, or another process, go on with it."""
        os.close(partial.arrival.descriptor)

    def remove(self, partial: Partial) -> None:
        """Throw an upload away; it is still to be closed."""
        self._count(partial.arrival)
        self._remove(partial.upload_id, partial.arrival.size)

    def expire(self, ttl: float) -> int:
        """
        Remove what has been waiting for too long.

        Args:
            ttl: Seconds since the last byte came.

        Returns:
            How many uploads were removed before their end.
        """
        removed = 0
        oldest = time.time() - ttl
        for name in self._names():
            upload_id, dot, end = name.partition(".")
            if _ID.fullmatch(upload_id) and f"{dot}{end}" in (BYTES, _RECORD):
                with suppress(OSError):
                    removed += self._expired(upload_id, name, oldest)
        return removed

    def _expired(self, upload_id: str, name: str, oldest: float) -> bool:
        """Remove one if it is old, nobody has it, and this name of it is the last."""
        if os.stat(name, dir_fd=self.directory).st_mtime > oldest:
            return False
        if name.endswith(_RECORD):
            bytes_left = os.access(upload_id + BYTES, os.F_OK, dir_fd=self.directory)
            if not bytes_left:
                os.unlink(name, dir_fd=self.directory)
            return False
        descriptor = os.open(name, _OPEN, dir_fd=self.directory)
        try:
            if not take_lock(descriptor):
                return False
            self._remove(upload_id, os.fstat(descriptor).st_size)
        finally:
            os.close(descriptor)
        return True

    def _remove(self, upload_id: str, size: int) -> None:
        for end in (BYTES, _RECORD):
            with suppress(FileNotFoundError):
                os.unlink(upload_id + end, dir_fd=self.directory)
        with self._usage.locked() as usage:
            usage.add(-size)

    def _count(self, arrival: Arrival) -> None:
        """Tell the quota of what came since it was last told."""
        if arrival.size != arrival.counted:
            with self._usage.locked() as usage:
                usage.add(arrival.size - arrival.counted)
            arrival.counted = arrival.size

    def _names(self) -> list[str]:
        with os.scandir(self.directory) as entries:
            return [each.name for each in entries]
