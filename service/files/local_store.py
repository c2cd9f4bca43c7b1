"""
Files on the local disk: the store that needs nothing else.

An upload is written to a hidden file of the same file system, synced, and renamed to
its name under the lock that all processes of this root share; the directory is synced
after it. So a file is there whole or not at all, whatever is cut, full or killed, and
what was acknowledged survives a loss of power.
"""

import os
import stat
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from service.files.arrivals import Arrival, Arrivals
from service.files.conditions import ANY_VERSION, Condition
from service.files.digests import Digests, Hashing
from service.files.disk_errors import told
from service.files.errors import (
    NoSpace,
    NotFound,
    PathConflict,
    QuotaExceeded,
    TooLarge,
)
from service.files.gathering import gathered
from service.files.listing_disk import count, read_page
from service.files.paths import RESERVED
from service.files.reading import PIECE, LocalFile
from service.files.staging import Staged
from service.files.store import FileInfo, OpenFile, Page, Stored, Upload
from service.files.threads import Threads
from service.files.tree import Tree, open_file
from service.files.usage import UsageFile, Used
from service.files.versions import read_version, stamp

__all__ = ["Limits", "LocalStore"]

_LOCK = "usage"
_NO_UPLOAD = Upload()


class Limits(NamedTuple):
    """
    How much a store keeps.

    Attributes:
        file_bytes: Largest file.
        total_bytes: All files together; 0 for any.
        total_files: Most files; 0 for any.
    """

    file_bytes: int
    total_bytes: int = 0
    total_files: int = 0


class LocalStore:
    """
    Files below a directory.

    Args:
        root: The directory, made when it is missing.
        limits: Gives how much is kept; asked each time.
        threads: Where the disk is waited for.

    Raises:
        OSError: The directory can't be made or opened.

    Concurrency: tasks of one event loop; other processes may share the root.
    """

    def __init__(
        self, root: Path, *, limits: Callable[[], Limits], threads: Threads
    ) -> None:
        self.tree = Tree(root)
        self.threads = threads
        self._limits = limits
        with self.tree.made([RESERVED]) as hidden:
            self.hidden = os.dup(hidden)
        self.arrivals = Arrivals(self.hidden)
        self.usage = UsageFile(self.hidden, _LOCK)
        # what is on its way becomes what is used at one moment: who asks for room must
        # not see a file in both; held for that alone, inside the lock of the usage
        self._room = threading.Lock()
        self._arriving = 0
        self._buffer = memoryview(bytearray(PIECE))

    def close(self) -> None:
        """Let go of the directories."""
        os.close(self.hidden)
        self.tree.close()

    def recover(self) -> int:
        """
        Remove what was left behind, and count what is there.

        Returns:
            How many files were left behind.

        Concurrency: it waits for the disk, so it is for a thread.
        """
        swept = self.arrivals.sweep()
        with told(), self.usage.locked() as usage:
            usage.set(count(self.tree.descriptor, self.hidden))
        return swept

    def used(self) -> Used:
        """Return what the files take."""
        return self.usage.glance()

    # -- the port ------------------------------------------------------------------

    async def put(
        self, path: str, chunks: AsyncIterable[bytes], upload: Upload | None = None
    ) -> Stored:
        """Keep the bytes of *chunks* as the file at *path*."""
        said = upload or _NO_UPLOAD
        if isinstance(chunks, Staged) and chunks.directory == self.hidden:
            return await self._adopt(path, chunks, said)
        hashing = Hashing(said.digests)
        arrival = await self.threads.acquire(
            self.arrivals.discard, lambda: self._begin(path, said)
        )
        try:
            async for data in gathered(chunks):
                await self.threads.run(self._write, arrival, data, hashing)
            return await self.threads.run(
                self._commit, path, arrival, hashing.verified(), said.condition
            )
        finally:
            await self.threads.run(self._discard, arrival)

    async def _adopt(self, path: str, staged: Staged, said: Upload) -> Stored:
        """Take a file that is here already, as it is."""
        hashing = Hashing(said.digests)
        async for data in staged:
            await self.threads.run(hashing.update, data)
        return await self.threads.run(
            self._commit, path, staged.arrival, hashing.verified(), said.condition
        )

    @asynccontextmanager
    async def open(self, path: str) -> AsyncIterator[OpenFile]:
        """Give the file at *path*."""
        file = await self.threads.acquire(LocalFile.close, lambda: self._open(path))
        try:
            yield file
        finally:
            file.close()

    async def stat(self, path: str) -> FileInfo:
        """Return the version at *path*."""
        async with self.open(path) as file:
            return file.info

    async def delete(self, path: str, condition: Condition = ANY_VERSION) -> None:
        """Remove the file at *path*."""
        await self.threads.run(self._delete, path, condition)

    async def list(self, path: str, *, after: str = "", limit: int = 1000) -> Page:
        """Return what is right below *path*."""
        return await self.threads.run(self._list, path, after, limit)

    # -- in threads ------------------------------------------------------------------

    def _open(self, path: str) -> LocalFile:
        with told():
            return LocalFile(self.tree.open(path), self.threads, self._buffer)

    def _begin(self, path: str, said: Upload) -> Arrival:
        """Refuse at once what would be refused at the end; return a new file."""
        with told():
            replaced = self.check(path, said)
            arrival = self.arrivals.create()
        arrival.replaced = replaced
        return arrival

    def check(self, path: str, said: Upload) -> int:
        """
        Raise what an upload would be refused for if it came to its end now.

        Returns:
            Bytes of the file that would be replaced.

        Concurrency: it waits for the disk, so it is for a thread.
        """
        *parents, name = path.split("/")
        try:
            with self.tree.directory(parents) as directory:
                old = _version_at(directory, name)
        except NotFound:
            old = None
        _check_condition(said.condition, old)
        size, replaced = said.size or 0, old.size if old else 0
        self.check_room(size, size - replaced)
        space = os.fstatvfs(self.tree.descriptor)
        if size > space.f_bavail * space.f_frsize:
            raise NoSpace
        return replaced

    def _write(self, arrival: Arrival, data: bytes, hashing: Hashing) -> None:
        with told():
            with self._room:
                arrival.arriving += len(data)
                self._arriving += len(data)
            self.check_room(arrival.size + len(data), -arrival.replaced)
            arrival.write(data, hashing)

    def _discard(self, arrival: Arrival) -> None:
        with self._room:
            self._has_arrived(arrival)
        self.arrivals.discard(arrival)

    def _has_arrived(self, arrival: Arrival) -> None:
        """Note that a file is not on its way any more; for the holder of the room."""
        self._arriving -= arrival.arriving
        arrival.arriving = 0

    def check_room(self, size: int, more: int) -> None:
        """
        Refuse what there would be no room for.

        Args:
            size: Bytes of a file, as far as they came.
            more: Bytes beside all that are kept and on their way.

        Raises:
            TooLarge: No file may be as large.
            QuotaExceeded: All files together may not.
        """
        limits = self._limits()
        if size > limits.file_bytes:
            raise TooLarge(limits.file_bytes)
        with self._room:
            total = self.usage.glance().size + self._arriving + more
        if 0 < limits.total_bytes < total:
            raise QuotaExceeded

    def _commit(
        self, path: str, arrival: Arrival, digests: Digests, condition: Condition
    ) -> Stored:
        """Give a file its name, all at once and for good."""
        *parents, name = path.split("/")
        with told():
            stamp(arrival.descriptor, digests)
            os.fsync(arrival.descriptor)
            info = read_version(arrival.descriptor)
            with self.usage.locked() as usage, self.tree.made(parents) as directory:
                old = _version_at(directory, name)
                _check_condition(condition, old)
                grown = info.size - arrival.counted - (old.size if old else 0)
                self._check_quota(usage.get(), grown, new=old is None)
                self.arrivals.land(arrival, directory, name)
                with self._room:
                    usage.add(grown, 1 if old is None else 0)
                    self._has_arrived(arrival)
                changed = os.dup(directory)
            _sync(changed)
        return Stored(info, created=old is None)

    def _check_quota(self, used: Used, grown: int, *, new: bool) -> None:
        limits = self._limits()
        if grown > 0 and 0 < limits.total_bytes < used.size + grown:
            raise QuotaExceeded
        if new and 0 < limits.total_files <= used.files:
            raise QuotaExceeded

    def _delete(self, path: str, condition: Condition) -> None:
        *parents, name = path.split("/")
        with told(), self.usage.locked() as usage:
            with self.tree.directory(parents) as directory:
                descriptor = open_file(directory, name)
                try:
                    old = read_version(descriptor)
                finally:
                    os.close(descriptor)
                condition.check(old.etag, old.modified)
                os.unlink(name, dir_fd=directory)
                usage.add(-old.size, -1)
                changed = os.dup(directory)
            self.tree.prune(parents)
        with told():
            _sync(changed)

    def _list(self, path: str, after: str, limit: int) -> Page:
        names = path.split("/") if path else []
        with told(), self.tree.directory(names) as directory:
            return read_page(directory, after=after, limit=limit, top=not names)


def _sync(directory: int) -> None:
    """Make the names of a directory durable; others need not wait for it."""
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _check_condition(condition: Condition, old: FileInfo | None) -> None:
    if old is None:
        condition.check(None)
    else:
        condition.check(old.etag, old.modified)


def _version_at(directory: int, name: str) -> FileInfo | None:
    """
    Return the version of a file; None when nothing is there that is served.

    Raises:
        PathConflict: A directory is there.
    """
    try:
        descriptor = open_file(directory, name)
    except NotFound:
        try:
            found = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except OSError:
            return None
        if stat.S_ISDIR(found.st_mode):
            raise PathConflict from None
        return None
    try:
        return read_version(descriptor)
    finally:
        os.close(descriptor)
