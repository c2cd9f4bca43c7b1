"""
The segment log behind an event loop: one fdatasync for all producers that wait.

While a group is written and synced in the log's thread, the appends that come in wait
in a list; when the thread is done, all of them are the next group. So a slow disk makes
groups larger instead of queues longer, and the loop never waits for the disk.

Source: DeWitt et al., "Implementation Techniques for Main Memory Database Systems",
1984, section 5 (https://doi.org/10.1145/602259.602261)
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from service.commitlog.bell import Bell
from service.commitlog.errors import (
    CommitLogError,
    LogBusy,
    WritesRefused,
    raise_kept,
)
from service.commitlog.files import FileSystem
from service.commitlog.limits import check_batch
from service.commitlog.log import Committed, Log
from service.commitlog.policy import Acknowledge, Policy
from service.commitlog.protocol import Offsets
from service.commitlog.record import Record
from service.commitlog.recovery import Recovery

__all__ = ["SegmentLog"]

_log = logging.getLogger(__name__)

_READERS = 4
"""Threads that read: disks answer several at once, the interpreter runs one."""
_MAINTENANCE = 1.0
"""Seconds between two looks at the age of segments."""


class _Waiting(NamedTuple):
    records: Sequence[Record]
    size: int
    done: asyncio.Future[int]


class SegmentLog:
    """
    A `CommitLog` on disk. Made by `open`, ended by `close`.

    Concurrency: for the event loop that opened it.
    """

    def __init__(self, log: Log, policy: Policy, writer: ThreadPoolExecutor) -> None:
        self._log, self._policy, self._writer = log, policy, writer
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="log-read")
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._next_offset = log.next_offset
        self._bell, self._work = Bell(), asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._refused: CommitLogError | None = None
        self._interval = (
            min(_MAINTENANCE, policy.sync_interval)
            if policy.acknowledge is Acknowledge.WRITTEN
            else _MAINTENANCE
        )
        self._tick = self._loop.call_later(self._interval, self._on_tick)
        self._maintenance_due = False
        self._task = asyncio.create_task(self._run(), name="commit log")

    @classmethod
    async def open(
        cls,
        directory: Path,
        policy: Policy | None = None,
        *,
        files: FileSystem | None = None,
        clock: Callable[[], float] = time.time,
    ) -> "SegmentLog":
        """Recover and open *directory*, in the log's thread; raises what `Log` does."""
        policy = policy or Policy()
        writer = ThreadPoolExecutor(1, thread_name_prefix="log-write")
        make = partial(Log, directory, policy, files=files, clock=clock)
        try:
            log = await asyncio.get_running_loop().run_in_executor(writer, make)
        except BaseException:
            writer.shutdown(wait=False)
            raise
        return cls(log, policy, writer)

    @property
    def recovery(self) -> Recovery:
        """What the start found."""
        return self._log.recovery

    @property
    def refused(self) -> CommitLogError | None:
        """Why no write is taken until a restart, or None."""
        return self._refused

    @property
    def size_bytes(self) -> int:
        """Bytes of all segments; any thread may ask."""
        return self._log.size_bytes

    @property
    def segment_count(self) -> int:
        """How many segments there are; any thread may ask."""
        return self._log.segment_count

    async def append(self, records: Sequence[Record]) -> int:
        """Append *records*; see `CommitLog`."""
        self._bell.check()
        raise_kept(self._refused)
        size = check_batch(records, self._policy)
        if self._waiting_bytes + size > self._policy.max_waiting_bytes:
            raise LogBusy(f"{self._waiting_bytes} bytes wait for the disk")
        waiting = _Waiting(records, size, self._loop.create_future())
        self._waiting.append(waiting)
        self._waiting_bytes += size
        self._work.set()
        return await waiting.done

    async def read(
        self, offset: int, *, max_records: int = 1000, max_bytes: int = 1 << 20
    ) -> Sequence[Record]:
        """Return records from *offset* on; see `CommitLog`."""
        self._bell.check()
        if offset == self._next_offset:
            return []
        call = partial(
            self._log.read,
            offset,
            max_records=max_records,
            max_bytes=max_bytes,
            until=self._next_offset,
        )
        return await self._loop.run_in_executor(self._readers, call)

    async def follow(
        self, offset: int, *, max_records: int = 1000, max_bytes: int = 1 << 20
    ) -> AsyncIterator[Sequence[Record]]:
        """Yield batches and wait for more; see `CommitLog`."""
        with self._log.hold(offset) as hold:
            while True:
                batch = await self.read(
                    hold.offset, max_records=max_records, max_bytes=max_bytes
                )
                if batch:
                    yield batch
                    hold.offset += len(batch)
                else:
                    await self._bell.wait()

    def offsets(self) -> Offsets:
        """Return which records can be read."""
        # retention may take records of a group that is not acknowledged yet
        lowest = min(self._log.lowest_offset, self._next_offset)
        return Offsets(lowest, self._next_offset)

    async def fresh_offsets(self) -> Offsets:
        """Return which records can be read; nobody else appends."""
        self._bell.check()
        return self.offsets()

    async def offset_at(self, timestamp: int) -> int:
        """Return the offset of the first record at *timestamp* or later."""
        self._bell.check()
        call = partial(self._log.offset_at, timestamp, until=self._next_offset)
        return await self._loop.run_in_executor(self._readers, call)

    async def close(self) -> None:
        """Commit what waits, sync, and free the directory; followers end."""
        if self._bell.closed:
            return
        self._bell.close()
        self._tick.cancel()
        self._work.set()
        await self._task
        await asyncio.to_thread(self._readers.shutdown)
        try:
            await self._loop.run_in_executor(self._writer, self._log.close)
        finally:
            self._writer.shutdown(wait=False)

    def _on_tick(self) -> None:
        self._maintenance_due = True
        self._work.set()
        self._tick = self._loop.call_later(self._interval, self._on_tick)

    async def _run(self) -> None:
        """Commit group after group until the log is closed and nothing waits."""
        while self._waiting or not self._bell.closed:
            await self._work.wait()
            self._work.clear()
            while self._waiting:
                await self._commit(self._take())
            if self._maintenance_due:
                self._maintenance_due = False
                await self._maintain()

    async def _maintain(self) -> None:
        """Do what is due by time; nobody waits who would be told of a failure."""
        try:
            await self._loop.run_in_executor(self._writer, self._log.maintain)
            refused = self._log.refused
        except Exception as failure:  # noqa: BLE001 - a defect: appends must hear of it
            refused = _failed(failure)
        if refused and not self._refused:
            self._refused = refused
            _log.error("no record is taken: %s", refused)

    def _take(self) -> list[_Waiting]:
        """Return what waits, up to the bytes of a group."""
        group, size = [self._waiting.popleft()], 0
        size = group[0].size
        limit = self._policy.max_batch_bytes
        while self._waiting and size + self._waiting[0].size <= limit:
            group.append(self._waiting.popleft())
            size += group[-1].size
        self._waiting_bytes -= size
        return group

    async def _commit(self, group: list[_Waiting]) -> None:
        batches = [each.records for each in group]
        try:
            committed = await self._loop.run_in_executor(
                self._writer, self._log.commit, batches
            )
        except Exception as failure:  # noqa: BLE001 - a defect: those that wait must hear of it
            committed = Committed([], _failed(failure))
        self._settle(group, committed)

    def _settle(self, group: list[_Waiting], committed: Committed) -> None:
        """Publish what is in the log, then tell each producer."""
        if isinstance(committed.error, WritesRefused):
            self._refused = committed.error
        for waiting, first in zip(group, committed.offsets, strict=False):
            self._next_offset = first + len(waiting.records)
            if not waiting.done.done():
                waiting.done.set_result(first)
        for waiting in group[len(committed.offsets) :]:
            if not waiting.done.done() and committed.error:
                waiting.done.set_exception(committed.error)
        if committed.offsets:
            self._bell.ring()


def _failed(defect: Exception) -> WritesRefused:
    """Return what appends are told after a defect of the log."""
    refused = WritesRefused(f"the log failed: {defect!r}")
    refused.__cause__ = defect
    return refused
