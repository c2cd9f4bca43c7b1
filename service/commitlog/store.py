"""
The append-only file of a segment: whole writes, or none.

A write that fails half-way (a full disk) is cut off again, so that the file ends with
the last whole frame and the next append may succeed.
"""

from collections.abc import Iterator
from pathlib import Path

from service.commitlog.errors import LogDamaged, WritesRefused
from service.commitlog.files import File
from service.commitlog.record import (
    FILE_HEADER_BYTES,
    BadFrame,
    PartialFrame,
    Record,
    decode,
)

__all__ = ["Store", "write_all"]

_CHUNK = 128 * 1024
"""Bytes that a reader asks for at once."""


def write_all(file: File, position: int, data: bytes) -> None:
    """
    Write all of *data*, however few bytes each call takes.

    Raises:
        OSError: As the system says, or a write that takes nothing.
    """
    done = file.write(position, data)
    while done < len(data):
        more = file.write(position + done, data[done:])
        if not more:
            raise OSError("a write took no bytes")
        done += more


class Store:
    """
    The frames of one segment.

    Args:
        file: The open file; its header is written.
        path: For messages.
        end: Byte after the last whole frame.

    Concurrency: one thread appends and syncs; any thread reads.
    """

    def __init__(self, file: File, path: Path, *, end: int) -> None:
        self._file = file
        self.path = path
        self.end = end

    def append(self, data: bytes) -> None:
        """
        Write frames at the end.

        Raises:
            OSError: Nothing is kept of it.
            WritesRefused: It failed and what was written can't be cut off again.
        """
        try:
            write_all(self._file, self.end, data)
        except OSError as error:
            self._cut(error)
            raise
        self.end += len(data)

    def sync(self) -> None:
        """Return once all frames are on disk."""
        self._file.sync()

    def truncate(self, size: int) -> None:
        """Keep the first *size* bytes."""
        self._file.truncate(size)
        self.end = size

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def size(self) -> int:
        """Return the bytes of the file, whole frames or not."""
        return self._file.size()

    def bytes_from(self, position: int, size: int) -> bytes:
        """Return bytes as they are."""
        return self._file.read(position, size)

    def rewrite(self, start: int) -> None:
        """
        Write the bytes from *start* to the end again, and sync.

        What a failed fdatasync left in the page cache counts as clean there, and a new
        fdatasync would not write it: so it is made dirty first.
        """
        for position in range(start, self.end, _CHUNK):
            data = self._file.read(position, min(_CHUNK, self.end - position))
            write_all(self._file, position, data)
        self._file.sync()

    def frames(self, position: int = FILE_HEADER_BYTES) -> Iterator[tuple[Record, int]]:
        """
        Yield records from *position* on, each with the byte after its frame.

        Raises:
            LogDamaged: A frame is wrong; everything before it was yielded.
        """
        end, data, start = self.end, b"", position
        while start < end:
            try:
                record, after = decode(data, start - position)
            except PartialFrame as partial:
                if start + partial.needed > end:
                    raise LogDamaged(str(self.path), start, str(partial)) from None
                if start + partial.needed <= position + len(data):
                    raise LogDamaged(str(self.path), start, str(partial)) from None
                wanted = min(max(_CHUNK, partial.needed), end - start)
                data, position = self._file.read(start, wanted), start
                if len(data) < partial.needed:
                    raise LogDamaged(str(self.path), start, str(partial)) from None
                continue
            except BadFrame as error:
                raise LogDamaged(str(self.path), start, str(error)) from None
            start = position + after
            yield record, start

    def _cut(self, cause: OSError) -> None:
        try:
            self._file.truncate(self.end)
        except OSError:
            raise WritesRefused(f"{self.path}: {cause}") from cause
