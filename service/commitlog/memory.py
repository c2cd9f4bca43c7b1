"""A commit log in memory: for tests, and for records that may be lost at any time."""

import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Sequence
from operator import attrgetter

from service.commitlog.bell import Bell
from service.commitlog.errors import OffsetOutOfRange
from service.commitlog.limits import check_batch
from service.commitlog.policy import Policy
from service.commitlog.protocol import Offsets
from service.commitlog.record import Record, size_of

__all__ = ["MemoryLog"]


class MemoryLog:
    """
    A `CommitLog` that the process takes with it.

    Args:
        policy: Its limits of records and batches count, and `retention_bytes`: over
            it the oldest records go.
        clock: Seconds since 1970.

    Concurrency: for one event loop.
    """

    def __init__(
        self, policy: Policy | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._policy, self._clock = policy or Policy(), clock
        self._records: list[Record] = []
        self._lowest = self._bytes = self._now = 0
        self._bell = Bell()

    async def append(self, records: Sequence[Record]) -> int:
        """Append *records*; see `CommitLog`."""
        self._bell.check()
        self._bytes += check_batch(records, self._policy)
        self._now = max(self._now, int(self._clock() * 1000))
        first = self.offsets().next
        self._records += [
            record._replace(offset=first + i, timestamp=self._now)
            for i, record in enumerate(records)
        ]
        self._retain()
        self._bell.ring()
        return first

    async def read(
        self, offset: int, *, max_records: int = 1000, max_bytes: int = 1 << 20
    ) -> Sequence[Record]:
        """Return records from *offset* on; see `CommitLog`."""
        self._bell.check()
        lowest, next_offset = self.offsets()
        if not lowest <= offset <= next_offset:
            raise OffsetOutOfRange(offset, lowest=lowest, next_offset=next_offset)
        found: list[Record] = []
        start = offset - lowest
        for record in self._records[start : start + max_records]:
            max_bytes -= size_of(record)
            if found and max_bytes < 0:
                break
            found.append(record)
        return found

    async def follow(
        self, offset: int, *, max_records: int = 1000, max_bytes: int = 1 << 20
    ) -> AsyncIterator[Sequence[Record]]:
        """Yield batches and wait for more; see `CommitLog`."""
        while True:
            batch = await self.read(
                offset, max_records=max_records, max_bytes=max_bytes
            )
            if batch:
                offset += len(batch)
                yield batch
            else:
                await self._bell.wait()

    def offsets(self) -> Offsets:
        """Return which records can be read."""
        return Offsets(self._lowest, self._lowest + len(self._records))

    async def fresh_offsets(self) -> Offsets:
        """Return which records can be read; nobody else appends."""
        self._bell.check()
        return self.offsets()

    async def offset_at(self, timestamp: int) -> int:
        """Return the offset of the first record at *timestamp* or later."""
        key = attrgetter("timestamp")
        return self._lowest + bisect_left(self._records, timestamp, key=key)

    async def close(self) -> None:
        """Refuse everything from now on; followers end with LogClosed."""
        self._bell.close()

    def _retain(self) -> None:
        limit, gone = self._policy.retention_bytes, 0
        while limit and self._bytes > limit and gone < len(self._records) - 1:
            self._bytes -= size_of(self._records[gone])
            gone += 1
        del self._records[:gone]
        self._lowest += gone
