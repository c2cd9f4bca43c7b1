r"""
The synced mark: how far the log is known to be on disk.

A torn tail and a damaged record look the same. What lies below the mark was synced, so
damage there is damage and the log doesn't start; what lies above was never
acknowledged as synced and may be cut. The mark is written after each fdatasync and not
synced itself, which would double the cost: it may be too low after a power cut, and is
never too high.

File `synced`, 40 bytes, little-endian, written by one call within one sector:

     0  8 bytes  b"HSCMRK\x00\x01"
     8  u64      base offset of the active segment
    16  u64      its synced size in bytes
    24  u64      next offset at that size
    32  u32      CRC32C of the 32 bytes before
    36  zeros
"""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from google_crc32c import value as crc32c

from service.commitlog.files import File, FileSystem
from service.commitlog.store import write_all

__all__ = ["Mark", "MarkFile", "read_mark"]

NAME = "synced"
_LAYOUT = struct.Struct("<8sQQQ")
_END = struct.Struct("<II")
_MAGIC = b"HSCMRK\x00\x01"
_BYTES = _LAYOUT.size + _END.size


class Mark(NamedTuple):
    """
    How far a log is on disk.

    Attributes:
        base_offset: Of the active segment; those before are whole.
        position: Synced bytes of its store.
        next_offset: Offset after the last synced record.
    """

    base_offset: int
    position: int
    next_offset: int

    def is_missing(self, bases: Sequence[int]) -> bool:
        """
        Tell whether its segment should be among *bases*, in order, and is not.

        One before the oldest was dropped by retention: after a power cut the mark may
        be of any time before that.
        """
        dropped = bool(bases) and self.base_offset < bases[0]
        return not dropped and self.base_offset not in bases


def read_mark(directory: Path, files: FileSystem) -> Mark | None:
    """Return the mark, or None when there is none that can be read."""
    if NAME not in files.names(directory):
        return None
    file = files.open(directory / NAME, write=False)
    try:
        data = file.read(0, _BYTES)
    finally:
        file.close()
    if len(data) < _BYTES or data[_LAYOUT.size :] != _ending(data[: _LAYOUT.size]):
        return None
    magic, *numbers = _LAYOUT.unpack_from(data)
    return Mark(*numbers) if magic == _MAGIC else None


class MarkFile:
    """
    The mark of an open log.

    Concurrency: for the one thread that syncs.
    """

    def __init__(self, file: File) -> None:
        self._file = file

    @classmethod
    def open(cls, directory: Path, files: FileSystem) -> "MarkFile":
        """Open the file, made when it is missing."""
        missing = NAME not in files.names(directory)
        return cls(files.open(directory / NAME, create=missing))

    def write(self, mark: Mark) -> None:
        """Write *mark*; it must be true already."""
        data = _LAYOUT.pack(_MAGIC, *mark)
        write_all(self._file, 0, data + _ending(data))

    def close(self) -> None:
        """Sync and close."""
        try:
            self._file.sync()
        finally:
            self._file.close()


def _ending(data: bytes) -> bytes:
    return _END.pack(crc32c(data), 0)
