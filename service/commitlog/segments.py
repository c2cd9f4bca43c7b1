"""
The segments of a log as its readers see them, while the writer adds and drops some.

Readers are threads of their own. A read takes the list as it is and keeps what it needs
from being dropped by a hold, so that no segment is closed under it; the writer never
waits for a reader, it drops the segment later.
"""

import contextlib
import threading
from collections.abc import Iterator

from service.commitlog.errors import OffsetOutOfRange
from service.commitlog.record import Record
from service.commitlog.segment import Segment

__all__ = ["Hold", "Segments"]


class Hold:
    """Keeps the records from `offset` on from retention; moved on by its reader."""

    __slots__ = ("offset",)

    def __init__(self, offset: int) -> None:
        self.offset = offset


class Segments:
    """
    Consecutive segments, the last one active.

    Args:
        segments: In their order, at least one.

    Concurrency: `append` and `let_go` for one thread; the rest for any.
    """

    def __init__(self, segments: list[Segment]) -> None:
        self._segments = segments
        self._guard = threading.Lock()  # of the list, and the holds
        self._holds: set[Hold] = set()

    def __len__(self) -> int:
        return len(self._segments)

    @property
    def oldest(self) -> Segment:
        """The one with the first record."""
        return self._segments[0]

    @property
    def active(self) -> Segment:
        """The one that is written to."""
        return self._segments[-1]

    @property
    def size_bytes(self) -> int:
        """Bytes of all stores."""
        with self._guard:
            return sum(each.store.end for each in self._segments)

    @property
    def last_timestamp(self) -> int:
        """The latest one of all records."""
        return max(each.last_timestamp for each in self._segments)

    def append(self, segment: Segment) -> None:
        """Make *segment* the active one."""
        with self._guard:
            self._segments.append(segment)

    @property
    def is_held(self) -> bool:
        """Whether a reader needs the oldest one."""
        with self._guard:
            return self._holds_oldest()

    def let_go(self) -> None:
        """Close the oldest one, unless a reader came: its file is open till it goes."""
        with self._guard:
            if self._holds_oldest():
                return
            oldest = self._segments.pop(0)
        oldest.close()

    def _holds_oldest(self) -> bool:
        held = min((hold.offset for hold in self._holds), default=None)
        return held is not None and held < self._segments[0].next_offset

    def close(self) -> None:
        """Close all of them."""
        for segment in self._segments:
            segment.close()

    @contextlib.contextmanager
    def hold(self, offset: int) -> Iterator[Hold]:
        """Keep retention from the records from *offset* on, within the block."""
        hold = Hold(offset)
        with self._guard:
            self._holds.add(hold)
        try:
            yield hold
        finally:
            with self._guard:
                self._holds.discard(hold)

    def read(
        self, offset: int, *, max_records: int, max_bytes: int, until: int
    ) -> list[Record]:
        """
        Return records from *offset* on: at least one when there is one.

        Args:
            offset: Of the first one.
            max_records: Most records.
            max_bytes: Bytes of frames, or of values where they are compressed, after
                which no further record is added.
            until: Offset to stop before.

        Raises:
            OffsetOutOfRange: *offset* is below the lowest or above *until*.
            LogDamaged: The bytes are not what was written.
        """
        records: list[Record] = []
        with self._pinned(offset) as segments:
            lowest = segments[0].base_offset
            if not lowest <= offset <= until:
                lowest = min(lowest, until)  # a group that is too large to keep
                raise OffsetOutOfRange(offset, lowest=lowest, next_offset=until)
            for record, size in _frames(segments, offset, until):
                # a compressed value is as large as it was when it is given out
                max_bytes -= max(size, len(record.value))
                if records and max_bytes < 0:
                    break
                records.append(record)
                if len(records) >= max_records:
                    break
        return records

    def offset_at(self, timestamp: int, *, until: int) -> int:
        """Return the offset of the first record not before *timestamp*, or *until*."""
        with self._pinned(0) as segments:
            for segment in segments:
                if segment.last_timestamp >= timestamp:
                    base = segment.base_offset
                    start = segment.index.times.offset_before(timestamp, default=base)
                    for record, _ in segment.read(start, until=until):
                        if record.timestamp >= timestamp:
                            return record.offset
        return until

    @contextlib.contextmanager
    def _pinned(self, offset: int) -> Iterator[list[Segment]]:
        """Give the segments, of which none is closed from *offset* on."""
        with self.hold(offset):
            with self._guard:
                segments = list(self._segments)
            yield segments


def _frames(
    segments: list[Segment], offset: int, until: int
) -> Iterator[tuple[Record, int]]:
    """Yield records of consecutive segments from *offset* on, with frame sizes."""
    for segment in segments:
        if segment.next_offset > offset:
            yield from segment.read(max(offset, segment.base_offset), until=until)
