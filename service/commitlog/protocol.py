"""
What a commit log is to its users; memory, segment log and others are behind it.

One suite of tests, `tests/unit/commitlog/test_contract.py`, holds for all of them.
"""

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol

from service.commitlog.record import Record

__all__ = ["CommitLog", "Offsets"]


class Offsets(NamedTuple):
    """
    Which records can be read: lowest <= offset < next.

    Attributes:
        lowest: Of the first record that is kept.
        next: One after the last; what the next record gets.
    """

    lowest: int
    next: int


class CommitLog(Protocol):
    """
    An ordered sequence of records that grows at its end.

    Offsets begin at 0 and have no gaps. A reader sees a record only once it is
    acknowledged, and always the same.

    Concurrency: for one event loop, any number of tasks; nothing blocks the loop.
    """

    async def append(self, records: Sequence[Record]) -> int:
        """
        Append *records* one after the other; return once they are acknowledged.

        Args:
            records: At least one; their `offset` and `timestamp` are not looked at.

        Returns:
            Offset of the first; the others follow without gap.

        Raises:
            RecordTooLarge: One of them, or all together. Nothing is stored.
            LogBusy: Too much waits already. Nothing is stored.
            LogFull: No space. Nothing is stored.
            WritesRefused: A failure left doubt whether they are stored.
            LogClosed: The log was closed. Nothing is stored.
            ValueError: No records, or headers that can't be stored.

        Concurrency: appends of one task are in their order. When it is cancelled the
        records may be stored or not.
        """
        ...

    async def read(
        self, offset: int, *, max_records: int = 1000, max_bytes: int = 1 << 20
    ) -> Sequence[Record]:
        """
        Return what is there from *offset* on, at least one record, within the limits.

        Returns:
            Records in order; empty when *offset* is the next one.

        Raises:
            OffsetOutOfRange: Below the lowest offset, or past the next one.
            LogDamaged: The bytes on disk are wrong.
            LogClosed: The log was closed.
        """
        ...

    def follow(
        self, offset: int, *, max_records: int = 1000, max_bytes: int = 1 << 20
    ) -> AsyncIterator[Sequence[Record]]:
        """
        Yield batches from *offset* on, and wait for more at the end, without polling.

        What it has not yielded is kept from retention until it is closed
        (`contextlib.aclosing`).

        Raises:
            LogClosed: The log was closed while it waited.
            OffsetOutOfRange, LogDamaged: As `read`.
        """
        ...

    def offsets(self) -> Offsets:
        """Return which records can be read, as far as this process knows."""
        ...

    async def fresh_offsets(self) -> Offsets:
        """
        Return which records can be read, those included that other processes appended.

        Returns:
            At least what was acknowledged before the call, whoever asked for it.

        Raises:
            LogUnreachable: Nobody answers who knows.
            LogDamaged, LogClosed: As `read`.
        """
        ...

    async def offset_at(self, timestamp: int) -> int:
        """
        Return the offset of the first record taken at *timestamp* or later.

        Args:
            timestamp: Milliseconds since 1970.

        Returns:
            The next offset when there is none.
        """
        ...
