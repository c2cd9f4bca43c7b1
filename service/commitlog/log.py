"""
The segments of a directory as one log, without threads or event loop of its own.

`commit` writes a group and syncs it, `read` returns a batch; the log rolls to a new
segment by size and age, and drops old ones by size and age. One thread commits; any
thread reads what was committed. `group_commit` puts it behind an event loop.
"""

import contextlib
import errno
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from service.commitlog.errors import (
    CommitLogError,
    LogFull,
    OffsetOutOfRange,
    WritesRefused,
)
from service.commitlog.files import FileSystem, OsFileSystem
from service.commitlog.mark import Mark, MarkFile
from service.commitlog.policy import Acknowledge, Policy
from service.commitlog.record import Record, encode
from service.commitlog.recovery import Recovery, recover
from service.commitlog.segment import Segment

__all__ = ["Committed", "Hold", "Log"]

LOCK = "lock"
"""Name of the file that the one writer locks."""

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Committed(NamedTuple):
    """
    What became of a group.

    Attributes:
        offsets: First offset of each batch that is in the log: a prefix of the group.
        error: Why the others are not, or None.
    """

    offsets: list[int]
    error: CommitLogError | None


class Hold:
    """Keeps the records from `offset` on from retention; moved on by its reader."""

    __slots__ = ("offset",)

    def __init__(self, offset: int) -> None:
        self.offset = offset


class Log:
    """
    A directory of segments, locked for this process.

    Args:
        directory: Made when it is missing.
        policy: How it is kept.
        files: The file system.
        clock: Seconds since 1970; it may jump, timestamps don't go back.

    Raises:
        LogLocked: Another process has it.
        LogDamaged: See `recovery`.
        OSError: As the system says.

    Concurrency: `commit`, `maintain` and `close` for one thread; the rest for any.
    """

    def __init__(
        self,
        directory: Path,
        policy: Policy | None = None,
        *,
        files: FileSystem | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._directory, self._policy = directory, policy or Policy()
        self._files: FileSystem = files or OsFileSystem()
        self._clock = clock
        self._guard = threading.Lock()  # of the list of segments, and the holds
        self._holds: set[Hold] = set()
        self._refused: WritesRefused | None = None
        self._files.names(directory)
        self._lock = self._files.lock(directory / LOCK)
        try:
            self.recovery: Recovery = recover(
                directory, policy=self._policy, files=self._files
            )
            self._segments = self.recovery.segments
            self._mark = MarkFile.open(directory, self._files)
            self._files.sync_directory(directory)
            self._write_mark()
        except BaseException:
            self._lock.close()
            raise
        self._synced_at = clock()
        self._dirty = False
        self._last_timestamp = max(each.last_timestamp for each in self._segments)

    @property
    def lowest_offset(self) -> int:
        """Offset of the first record that is kept."""
        return self._segments[0].base_offset

    @property
    def next_offset(self) -> int:
        """Offset that the next record gets."""
        return self._active.next_offset

    @property
    def size_bytes(self) -> int:
        """Bytes of all stores."""
        with self._guard:
            return sum(each.store.end for each in self._segments)

    @property
    def segment_count(self) -> int:
        """How many segments there are."""
        return len(self._segments)

    @property
    def _active(self) -> Segment:
        return self._segments[-1]

    def commit(self, batches: Sequence[Sequence[Record]]) -> Committed:
        """
        Append batches in their order, each whole in one segment, and sync once.

        Returns:
            What is in the log; when the policy says SYNCED, on disk.
        """
        if self._refused:
            return Committed([], self._refused)
        offsets: list[int] = []
        error: LogFull | None = None
        with contextlib.suppress(WritesRefused):
            try:
                self._write(batches, offsets)
            except OSError as failure:
                error = self._full(failure)
            if offsets and self._must_sync():
                self._sync()
        if self._refused:
            return Committed([], self._refused)
        return Committed(offsets, error)

    def maintain(self) -> None:
        """Do what is due by time: sync, roll, drop old segments."""
        if self._refused:
            return
        with contextlib.suppress(OSError, WritesRefused):
            if self._dirty and self._must_sync():
                self._sync()
            if self._too_old(self._active):
                self._roll()
            self._retain()

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

    @contextlib.contextmanager
    def _pinned(self, offset: int) -> Iterator[list[Segment]]:
        """Give the segments, of which none is closed from *offset* on."""
        with self.hold(offset):
            with self._guard:
                segments = list(self._segments)
            yield segments

    def close(self) -> None:
        """Sync what is not, write the index and free the directory."""
        try:
            if self._dirty and not self._refused:
                with contextlib.suppress(WritesRefused):
                    self._sync()
            self._mark.close()
        finally:
            for segment in self._segments:
                segment.close()
            self._lock.close()

    def _write(self, batches: Sequence[Sequence[Record]], offsets: list[int]) -> None:
        """Write all batches; *offsets* grows as they are in the store."""
        frames: list[tuple[bytes, Record]] = []
        firsts: list[int] = []
        size, offset, now = 0, self.next_offset, self._now()
        for batch in batches:
            encoded = [
                self._encode(each, offset + i, now) for i, each in enumerate(batch)
            ]
            needed = sum(len(frame) for frame, _ in encoded)
            if self._must_roll(size, needed):
                self._flush(frames, firsts, offsets)
                frames, firsts, size = [], [], 0
                self._roll()
            frames += encoded
            firsts.append(offset)
            size, offset = size + needed, offset + len(batch)
        self._flush(frames, firsts, offsets)

    def _flush(
        self, frames: list[tuple[bytes, Record]], firsts: list[int], done: list[int]
    ) -> None:
        if frames:
            try:
                self._active.append(frames)
            except WritesRefused as failure:
                self._refused = failure
                raise
            self._dirty = True
        done += firsts

    def _full(self, failure: OSError) -> LogFull:
        """Return that there is no space; any other failure ends all writing."""
        reason = f"{self._directory}: {failure.strerror or failure}"
        if failure.errno not in _NO_SPACE:
            self._refused = WritesRefused(reason)
            raise self._refused from failure
        return LogFull(reason)

    def _encode(self, record: Record, offset: int, now: int) -> tuple[bytes, Record]:
        frame = encode(
            record, offset=offset, timestamp=now, compression=self._policy.compression
        )
        return frame, record._replace(offset=offset, timestamp=now)

    def _now(self) -> int:
        """Return the time, never less than before: the time index is sorted."""
        self._last_timestamp = max(self._last_timestamp, int(self._clock() * 1000))
        return self._last_timestamp

    def _must_roll(self, waiting: int, needed: int) -> bool:
        if self._active.empty and not waiting:
            return False
        end = self._active.store.end + waiting
        return end + needed > self._policy.segment_bytes or self._too_old(self._active)

    def _too_old(self, segment: Segment) -> bool:
        if segment.empty:
            return False
        age = self._clock() - segment.first_timestamp / 1000
        return age > self._policy.segment_seconds

    def _must_sync(self) -> bool:
        if self._policy.acknowledge is Acknowledge.SYNCED:
            return True
        return self._clock() - self._synced_at >= self._policy.sync_interval

    def _sync(self) -> None:
        """Sync the active segment; a failure ends all writing."""
        try:
            self._active.store.sync()
        except OSError as failure:
            self._refused = WritesRefused(
                f"{self._active.store.path}: {failure.strerror or failure}"
            )
            raise self._refused from failure
        self._dirty, self._synced_at = False, self._clock()
        self._write_mark()

    def _write_mark(self) -> None:
        active = self._active
        mark = Mark(active.base_offset, active.store.end, active.next_offset)
        # A mark that is too low costs a second look at the next start, nothing else.
        with contextlib.suppress(OSError):
            self._mark.write(mark)

    def _roll(self) -> None:
        """Seal the active segment, which is whole on disk then, and begin another."""
        if self._dirty:
            self._sync()
        self._active.seal()
        base = self.next_offset
        try:
            Segment.create(self._directory, base, self._files)
        except OSError:
            # Half a segment would be mended at the next start; none is simpler.
            with contextlib.suppress(OSError):
                self._files.remove(self._directory / f"{base:020}.log")
            raise
        segment = Segment(
            self._directory,
            base,
            files=self._files,
            index_interval_bytes=self._policy.index_interval_bytes,
        )
        segment.scan()
        with self._guard:
            self._segments.append(segment)
        self._write_mark()
        self._retain()

    def _retain(self) -> None:
        """Drop segments from the oldest on, as far as policy and readers let it."""
        while self._is_due(self._segments[0]):
            with self._guard:
                oldest = self._segments[0]
                held = min((hold.offset for hold in self._holds), default=None)
                if held is not None and held < oldest.next_offset:
                    return
                del self._segments[0]
            oldest.remove()
            self._files.sync_directory(self._directory)

    def _is_due(self, oldest: Segment) -> bool:
        if len(self._segments) == 1:
            return False
        policy = self._policy
        if policy.retention_bytes and self.size_bytes > policy.retention_bytes:
            return True
        age = self._clock() - oldest.last_timestamp / 1000
        return bool(policy.retention_seconds) and age > policy.retention_seconds


def _frames(
    segments: list[Segment], offset: int, until: int
) -> Iterator[tuple[Record, int]]:
    """Yield records of consecutive segments from *offset* on, with frame sizes."""
    for segment in segments:
        if segment.next_offset > offset:
            yield from segment.read(max(offset, segment.base_offset), until=until)
