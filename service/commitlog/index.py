r"""
Sparse index of a segment: where to start reading for an offset.

It is a cache: built while frames are written, rebuilt from the store whenever the file
is missing, damaged or of another size than the store. An entry is made every few KiB
of frames, so a look-up reads at most that much too much.

File `<base offset>.index`, written when a segment is sealed; numbers little-endian.

     0  8 bytes  b"HSCIDX\x00\x01"
     8  u64      size of the store in bytes
    16  u64      next offset: one after the last record of the segment
    24  i64      timestamp of the first record
    32  i64      timestamp of the last record
    40  u64      number of entries
    48  entries  u64 offset, u64 position, i64 timestamp of the record there
        u32      CRC32C of everything before
"""

import struct
from array import array
from bisect import bisect_right
from typing import NamedTuple

from google_crc32c import value as crc32c

from service.commitlog.time_index import TimeIndex

__all__ = ["Index", "Sealed"]

_HEAD = struct.Struct("<8sQQqqQ")
_CRC = struct.Struct("<I")
_MAGIC = b"HSCIDX\x00\x01"


class Sealed(NamedTuple):
    """
    What is known of a segment without reading it.

    Attributes:
        store_bytes: Size of the store.
        next_offset: One after its last offset.
        first_timestamp: Of the first record; -1 without one.
        last_timestamp: Of the last record; -1 without one.
    """

    store_bytes: int
    next_offset: int
    first_timestamp: int
    last_timestamp: int


class Index:
    """
    Positions of some of the records, by offset and by time.

    Args:
        interval_bytes: Bytes of frames between two entries.

    Concurrency: one thread adds, any thread looks up.
    """

    def __init__(self, *, interval_bytes: int) -> None:
        self._interval = interval_bytes
        self._next_entry = 0
        self._offsets = array("Q")
        self._positions = array("Q")
        self.times = TimeIndex()

    def add(self, offset: int, position: int, timestamp: int) -> None:
        """Note a record, which may become an entry."""
        if position < self._next_entry:
            return
        self._next_entry = position + self._interval
        # A reader looks into the offsets first: what it finds there has a position.
        self._positions.append(position)
        self.times.add(timestamp, offset)
        self._offsets.append(offset)

    def position(self, offset: int, *, default: int) -> int:
        """Return the position of the entry at or before *offset*."""
        found = bisect_right(self._offsets, offset)
        return self._positions[found - 1] if found else default

    def to_bytes(self, sealed: Sealed) -> bytes:
        """Return the file."""
        rows = array("Q")
        for row in zip(self._offsets, self._positions, self.times.stamps, strict=True):
            rows.extend(row)
        data = _HEAD.pack(_MAGIC, *sealed, len(self._offsets)) + _little(rows)
        return data + _CRC.pack(crc32c(data))

    @classmethod
    def from_bytes(
        cls, data: bytes, *, interval_bytes: int
    ) -> tuple["Index", Sealed] | None:
        """Return what a file says, or None when it is not whole."""
        if len(data) < _HEAD.size + _CRC.size:
            return None
        magic, *known, count = _HEAD.unpack_from(data)
        if magic != _MAGIC or len(data) != _HEAD.size + 24 * count + _CRC.size:
            return None
        if _CRC.pack(crc32c(data[: -_CRC.size])) != data[-_CRC.size :]:
            return None
        index = cls(interval_bytes=interval_bytes)
        for row in struct.iter_unpack("<QQq", data[_HEAD.size : -_CRC.size]):
            index.add(*row)
        return index, Sealed(*known)


def _little(rows: "array[int]") -> bytes:
    return struct.pack(f"<{len(rows)}Q", *rows)
