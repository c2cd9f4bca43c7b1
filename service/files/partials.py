"""
Uploads that were stopped and can go on: bytes and a record of each, in the hidden
directory of the root.

What is acknowledged is on disk, so an upload goes on after a restart of the service or
of its machine. One process at a time writes to one: it holds the lock of the bytes.
Another one that shares the root (a worker, a replica) and wants it leaves a file beside
it that says so; whoever still waits for a client looks for that, and lets go.
"""

import os
import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from service.files.arrivals import Arrival, take_lock
from service.files.counted import read_counted, write_counted
from service.files.disk_errors import told
from service.files.errors import NotFound
from service.files.records import FRESH, Record, read_record, write_record
from service.files.usage import Usage, UsageFile

__all__ = ["BYTES", "Held", "Partial", "Partials", "TooMany"]

BYTES = ".part"
"""End of the names of what came so far."""

_RECORD = ".json"
_WANTED = ".wanted"
_ENDS = (BYTES, _RECORD, _RECORD + FRESH, _WANTED)
_ID = re.compile(r"[0-9a-f]{32}")
_OPEN = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = _OPEN | os.O_CREAT | os.O_EXCL


class TooMany(Exception):
    """As many uploads wait as may."""


class Held(Exception):
    """Another process has the upload."""


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
            write_counted(descriptor, 0)
            os.fsync(self.directory)
        return Partial(upload_id, record, Arrival(descriptor, name))

    def open(self, upload_id: str) -> Partial:
        """
        Return an upload, to go on with it.

        Raises:
            NotFound: There is none of this id, or it has become a file.
            Held: Another process has it.
            StoreUnavailable: The disk refuses.
        """
        with told():
            descriptor = self._taken(upload_id)
            try:
                # what a killed process wrote and did not acknowledge counts too
                os.fsync(descriptor)
                arrival = Arrival(descriptor, upload_id + BYTES)
                arrival.size = os.lseek(descriptor, 0, os.SEEK_END)
                arrival.counted = read_counted(descriptor)
                return Partial(upload_id, self.record(upload_id), arrival)
            except BaseException:
                os.close(descriptor)
                raise

    def want(self, upload_id: str) -> None:
        """Ask the process that has an upload to let go of it."""
        with told():
            flags = os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
            os.close(os.open(upload_id + _WANTED, flags, 0o600, dir_fd=self.directory))

    def answer(self, upload_id: str) -> bool:
        """Whether another process wants an upload; it is told once."""
        with told():
            try:
                os.unlink(upload_id + _WANTED, dir_fd=self.directory)
            except FileNotFoundError:
                return False
        return True

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

    def reserve(
        self, arrival: Arrival, size: int, check: Callable[[int], None]
    ) -> None:
        """
        Tell the quota of the next bytes of an upload before they are written.

        Args:
            arrival: What came so far.
            size: Bytes with the next ones.
            check: Told how many the quota does not know of; raises to refuse them.
        """
        with told(), self._usage.locked() as usage:
            check(size - arrival.counted)
            self._tell(usage, arrival, size)

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
        self._remove(partial.upload_id, partial.arrival.counted)
        partial.arrival.counted = 0

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
            if _ID.fullmatch(upload_id) and f"{dot}{end}" in _ENDS:
                with suppress(OSError):
                    removed += self._expired(upload_id, name, oldest)
        return removed

    def _expired(self, upload_id: str, name: str, oldest: float) -> bool:
        """Remove one if it is old, nobody has it, and this name of it is the last."""
        if os.stat(name, dir_fd=self.directory).st_mtime > oldest:
            return False
        if not name.endswith(BYTES):
            bytes_left = os.access(upload_id + BYTES, os.F_OK, dir_fd=self.directory)
            if not bytes_left:
                os.unlink(name, dir_fd=self.directory)
            return False
        try:
            descriptor = self._taken(upload_id)
        except (Held, NotFound):
            return False
        try:
            self._remove(upload_id, read_counted(descriptor))
        finally:
            os.close(descriptor)
        return True

    def _taken(self, upload_id: str) -> int:
        """
        Return the descriptor of an upload's bytes, with their lock.

        Raises:
            NotFound: There are none.
            Held: Another process has the lock.
        """
        name = upload_id + BYTES
        try:
            descriptor = os.open(name, _OPEN, dir_fd=self.directory)
        except FileNotFoundError:
            raise NotFound from None
        try:
            free = take_lock(descriptor)
            there = free and self._is_at(name, descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        if there:
            return descriptor
        os.close(descriptor)
        raise NotFound if free else Held

    def _is_at(self, name: str, descriptor: int) -> bool:
        """
        Whether a file still has this name: who had its lock before may have made a file
        of it, or thrown it away.
        """
        with suppress(FileNotFoundError):
            there = os.stat(name, dir_fd=self.directory, follow_symlinks=False)
            return os.path.samestat(there, os.fstat(descriptor))
        return False

    def _remove(self, upload_id: str, counted: int) -> None:
        with self._usage.locked() as usage:
            for end in _ENDS:
                with suppress(FileNotFoundError):
                    os.unlink(upload_id + end, dir_fd=self.directory)
            usage.add(-counted)

    def _count(self, arrival: Arrival) -> None:
        """Tell the quota of what came since it was last told."""
        if arrival.size != arrival.counted:
            with self._usage.locked() as usage:
                self._tell(usage, arrival, arrival.size)

    def _tell(self, usage: Usage, arrival: Arrival, size: int) -> None:
        usage.add(size - arrival.counted)
        arrival.counted = size
        write_counted(arrival.descriptor, size)

    def _names(self) -> list[str]:
        with os.scandir(self.directory) as entries:
            return [each.name for each in entries]
