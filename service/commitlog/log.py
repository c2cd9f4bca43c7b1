"""
The segments of a directory as one log, without threads or event loop of its own.

`commit` writes a group and syncs it, `read` returns a batch; the log rolls to a new
segment by size and age, and drops old ones by size and age. One thread commits; any
thread reads what was committed. `group_commit` puts it behind an event loop.
"""

import contextlib
import errno
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from service.commitlog.errors import (
    CommitLogError,
    LogBusy,
    LogFull,
    WritesRefused,
)
from service.commitlog.files import FileSystem, OsFileSystem
from service.commitlog.mark import MarkFile
from service.commitlog.policy import Policy
from service.commitlog.record import Record, encode
from service.commitlog.recovery import Recovery, recover
from service.commitlog.segment import Segment, store_path
from service.commitlog.segments import Hold, Segments
from service.commitlog.syncing import Syncing

__all__ = ["Committed", "Log"]

LOCK = "lock"
"""Name of the file that the one writer locks."""

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_DESCRIPTOR = {errno.EMFILE, errno.ENFILE}


class Committed(NamedTuple):
    """
    What became of a group.

    Attributes:
        offsets: First offset of each batch that is in the log: a prefix of the group.
        error: Why the others are not, or None.
    """

    offsets: list[int]
    error: CommitLogError | None


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
        self._refused: WritesRefused | None = None
        self._half_made: Path | None = None
        self._files.names(directory)
        self._lock = self._files.lock(directory / LOCK)
        try:
            self.recovery: Recovery = recover(
                directory, policy=self._policy, files=self._files
            )
            self._segments = Segments(self.recovery.segments)
            mark = MarkFile.open(directory, self._files)
            self._syncing = Syncing(mark, self._policy, clock=clock)
            self._files.sync_directory(directory)
            self._syncing.note(self._active)
        except BaseException:
            self._lock.close()
            raise
        self._last_timestamp = self._segments.last_timestamp

    @property
    def lowest_offset(self) -> int:
        """Offset of the first record that is kept."""
        return self._segments.oldest.base_offset

    @property
    def next_offset(self) -> int:
        """Offset that the next record gets."""
        return self._active.next_offset

    @property
    def size_bytes(self) -> int:
        """Bytes of all stores."""
        return self._segments.size_bytes

    @property
    def segment_count(self) -> int:
        """How many segments there are."""
        return len(self._segments)

    @property
    def refused(self) -> WritesRefused | None:
        """Why no write is taken until a restart, or None."""
        return self._refused

    @property
    def _active(self) -> Segment:
        return self._segments.active

    def commit(self, batches: Sequence[Sequence[Record]]) -> Committed:
        """
        Append batches in their order, each whole in one segment, and sync once.

        Returns:
            What is in the log; when the policy says SYNCED, on disk.
        """
        if self._refused:
            return Committed([], self._refused)
        offsets: list[int] = []
        error: LogFull | LogBusy | None = None
        with contextlib.suppress(WritesRefused):
            try:
                self._write(batches, offsets)
            except OSError as failure:
                error = self._short(failure)
            if offsets and self._syncing.due():
                self._sync()
        if self._refused:
            return Committed([], self._refused)
        return Committed(offsets, error)

    def maintain(self) -> None:
        """Do what is due by time: sync, roll, drop old segments."""
        if self._refused:
            return
        with contextlib.suppress(OSError, WritesRefused):
            if self._syncing.pending and self._syncing.due():
                self._sync()
            if self._too_old(self._active):
                self._roll()
            self._retain()

    def read(
        self, offset: int, *, max_records: int, max_bytes: int, until: int
    ) -> list[Record]:
        """Return records from *offset* on; see `Segments.read`."""
        return self._segments.read(
            offset, max_records=max_records, max_bytes=max_bytes, until=until
        )

    def offset_at(self, timestamp: int, *, until: int) -> int:
        """Return the offset of the first record not before *timestamp*, or *until*."""
        return self._segments.offset_at(timestamp, until=until)

    def hold(self, offset: int) -> AbstractContextManager[Hold]:
        """Keep retention from the records from *offset* on, within the block."""
        return self._segments.hold(offset)

    def close(self) -> None:
        """Sync what is not, write the index and free the directory."""
        try:
            if self._syncing.pending and not self._refused:
                with contextlib.suppress(WritesRefused):
                    self._sync()
            self._syncing.close()
        finally:
            self._segments.close()
            self._lock.close()

    def _write(self, batches: Sequence[Sequence[Record]], offsets: list[int]) -> None:
        """Write all batches; *offsets* grows as they are in the store."""
        self._clear()
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
            self._syncing.pending = True  # what fails is cut off, which is a change too
            try:
                self._active.append(frames)
            except WritesRefused as failure:
                self._refused = failure
                raise
        done += firsts

    def _short(self, failure: OSError) -> LogFull | LogBusy:
        """Return what there is too little of; any other failure ends all writing."""
        reason = f"{self._directory}: {failure.strerror or failure}"
        if failure.errno in _NO_SPACE:
            return LogFull(reason)
        if failure.errno in _NO_DESCRIPTOR:  # nothing was opened, let alone written
            return LogBusy(reason)
        self._refused = WritesRefused(reason)
        raise self._refused from failure

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

    def _sync(self) -> None:
        """Sync the active segment; a failure ends all writing."""
        try:
            self._syncing.sync(self._active)
        except OSError as failure:
            self._refused = WritesRefused(
                f"{self._active.store.path}: {failure.strerror or failure}"
            )
            raise self._refused from failure

    def _roll(self) -> None:
        """Seal the active segment, which is whole on disk then, and begin another."""
        self._clear()
        if self._syncing.pending:
            self._sync()
        self._active.seal()
        base = self.next_offset
        try:
            Segment.create(self._directory, base, self._files)
            segment = Segment(
                self._directory,
                base,
                files=self._files,
                index_interval_bytes=self._policy.index_interval_bytes,
            )
        except OSError:
            self._half_made = store_path(self._directory, base)
            with contextlib.suppress(OSError):
                self._clear()
            raise
        segment.scan()
        self._segments.append(segment)
        self._syncing.note(segment)
        # what can't be removed is no reason to take no records; `maintain` tries again
        with contextlib.suppress(OSError):
            self._retain()

    def _clear(self) -> None:
        """
        Remove what a roll that failed has left, before any other record is written.

        Else the active segment would grow over its offset: the next start would find
        two that do not join, also when a power cut brought the name back.
        """
        if self._half_made:
            self._files.remove(self._half_made)
            self._files.sync_directory(self._directory)
            self._half_made = None

    def _retain(self) -> None:
        """Drop segments from the oldest on, as far as policy and readers let it."""
        while self._has_too_much() and not self._segments.is_held:
            # the files first: were the next ones to go before them, a gap would stay
            self._segments.oldest.remove()
            self._files.sync_directory(self._directory)
            self._segments.let_go()

    def _has_too_much(self) -> bool:
        if len(self._segments) == 1:
            return False
        policy = self._policy
        if policy.retention_bytes and self.size_bytes > policy.retention_bytes:
            return True
        age = self._clock() - self._segments.oldest.last_timestamp / 1000
        return bool(policy.retention_seconds) and age > policy.retention_seconds
