"""
A segment: consecutive records in one store, with its index.

The last segment of a log is the active one and grows; the others are sealed and never
change. A store is named by the offset of its first record, in 20 digits.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from service.commitlog.errors import LogDamaged, OtherVersion
from service.commitlog.files import FileSystem
from service.commitlog.index import Index, Sealed
from service.commitlog.record import (
    FILE_HEADER_BYTES,
    FRAME_HEADER_BYTES,
    VERSION,
    Record,
    file_header,
    offset_in,
    version_in,
)
from service.commitlog.store import Store, write_all

__all__ = ["Segment", "index_path", "store_path"]


def store_path(directory: Path, base_offset: int) -> Path:
    """Return the path of a store."""
    return directory / f"{base_offset:020}.log"


def index_path(directory: Path, base_offset: int) -> Path:
    """Return the path of an index."""
    return directory / f"{base_offset:020}.index"


class Segment:
    """
    One segment, open.

    Args:
        directory: Of the log.
        base_offset: Of its first record.
        files: The file system.
        index_interval_bytes: As in `Policy`.
        write: Whether it may be appended to or cut.

    Concurrency: one thread appends, syncs and seals; any thread reads.
    """

    def __init__(
        self,
        directory: Path,
        base_offset: int,
        *,
        files: FileSystem,
        index_interval_bytes: int,
        write: bool = True,
    ) -> None:
        self._directory = directory
        self._files = files
        self._interval = index_interval_bytes
        self.base_offset = base_offset
        self.next_offset = base_offset
        self.first_timestamp = self.last_timestamp = -1
        path = store_path(directory, base_offset)
        self.store = Store(files.open(path, write=write), path, end=0)
        self.index = Index(interval_bytes=index_interval_bytes)

    @staticmethod
    def create(directory: Path, base_offset: int, files: FileSystem) -> None:
        """
        Make an empty segment that outlives a crash: header, then name.

        Raises:
            OSError: It couldn't be; what there is of it is no segment.
        """
        file = files.open(store_path(directory, base_offset), create=True)
        try:
            write_all(file, 0, file_header(base_offset))
            file.sync()
        finally:
            file.close()
        files.sync_directory(directory)

    def check_header(self) -> None:
        """
        Return when the file begins as a store of this base offset.

        Raises:
            OtherVersion: It is a store of another format.
            LogDamaged: It is none, or of another offset.
        """
        found = self.store.bytes_from(0, FILE_HEADER_BYTES)
        if found == file_header(self.base_offset):
            return
        version = version_in(found)
        if version not in (None, VERSION):
            raise OtherVersion(str(self.store.path), version, VERSION)
        raise LogDamaged(str(self.store.path), 0, "the header is wrong")

    @property
    def empty(self) -> bool:
        """Whether it has no record."""
        return self.next_offset == self.base_offset

    def append(self, frames: list[tuple[bytes, Record]]) -> None:
        """
        Write frames, with the records (offset, timestamp) that they hold.

        Raises:
            OSError: Nothing is kept of them.
        """
        position = self.store.end
        self.store.append(b"".join([frame for frame, _ in frames]))
        for frame, record in frames:
            self._note(record, position)
            position += len(frame)

    def scan(self) -> None:
        """
        Read every frame of the file and learn index and end from them.

        Raises:
            LogDamaged: A frame is wrong; what lies before it is known and counted.
        """
        size, start = self.store.size(), FILE_HEADER_BYTES
        self.index = Index(interval_bytes=self._interval)
        self.next_offset, self.store.end = self.base_offset, size
        try:
            for record, after in self.store.frames():
                self._expect(record, start)
                self._note(record, start)
                start = after
        finally:
            self.store.end = min(start, size)

    def load(self) -> bool:
        """Take what the index file says; False when it doesn't fit the store."""
        path = index_path(self._directory, self.base_offset)
        with contextlib.suppress(OSError):
            file = self._files.open(path, write=False)
            with contextlib.closing(file):
                found = Index.from_bytes(
                    file.read(0, file.size()), interval_bytes=self._interval
                )
            if found and found[1].store_bytes == self.store.size():
                self.index, sealed = found
                self.store.end, self.next_offset = sealed[:2]
                self.first_timestamp, self.last_timestamp = sealed[2:]
                return True
        return False

    def seal(self) -> None:
        """Write the index; without it the next start scans the store."""
        sealed = Sealed(
            self.store.end, self.next_offset, self.first_timestamp, self.last_timestamp
        )
        path = index_path(self._directory, self.base_offset)
        with contextlib.suppress(OSError):
            file = self._files.open(path, create=True)
            with contextlib.closing(file):
                write_all(file, 0, self.index.to_bytes(sealed))

    def read(self, offset: int, *, until: int) -> Iterator[tuple[Record, int]]:
        """
        Yield the records from *offset* up to and without *until*, and frame sizes.

        Raises:
            LogDamaged: A frame is wrong, or not the one that belongs there.
        """
        start = self._start(offset)
        expected = -1
        for record, after in self.store.frames(start):
            if record.offset >= until:
                return
            if expected >= 0 and record.offset != expected:
                raise LogDamaged(
                    str(self.store.path), start, f"offset {record.offset} stands here"
                )
            expected = record.offset + 1
            if record.offset >= offset:
                yield record, after - start
            start = after

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    def remove(self) -> None:
        """Delete the files, which stay open: the store first, an index is nothing."""
        self._files.remove(store_path(self._directory, self.base_offset))
        self._files.remove(index_path(self._directory, self.base_offset))

    def _start(self, offset: int) -> int:
        """Return where to look for *offset* from: the start, if the index is wrong."""
        start = self.index.position(offset, default=FILE_HEADER_BYTES)
        # an index of other records may fit by its numbers: it must never skip any
        if offset_in(self.store.bytes_from(start, FRAME_HEADER_BYTES)) > offset:
            return FILE_HEADER_BYTES
        return start

    def _expect(self, record: Record, position: int) -> None:
        if record.offset != self.next_offset:
            raise LogDamaged(
                str(self.store.path),
                position,
                f"offset {record.offset} stands where {self.next_offset} belongs",
            )

    def _note(self, record: Record, position: int) -> None:
        self.index.add(record.offset, position, record.timestamp)
        if self.empty:
            self.first_timestamp = record.timestamp
        self.last_timestamp = record.timestamp
        self.next_offset = record.offset + 1
