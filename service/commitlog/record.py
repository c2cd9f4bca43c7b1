r"""
A record, and its frame on disk: the one place that knows the bytes.

A store file (`<base offset, 20 digits>.log`) is a file header and then frames, each
directly after the one before. All numbers are little-endian.

    file header, 16 bytes
     0  8 bytes  b"HSCLOG\x00\x01": magic, the last byte is the version of the format
     8  u64      base offset, the same as in the file's name

    frame, a multiple of 8 bytes
     0  u32      CRC32C (Castagnoli) of the whole rest, from byte 4 through the padding
     4  u32      length: bytes from byte 8 on, without the padding; at least 24
     8  u64      offset: one more than that of the frame before
    16  i64      timestamp: milliseconds since 1970, never less than the frame before
    24  u16      attributes: bits 0-2 compression of the value (0 none, 1 zlib);
                 bit 3 the record has a key; the others are 0
    26  u16      number of headers
    28  u32      length of the key, 0 without one
    32  bytes    key
        headers  each: u16 length of its name, u32 length of its value, name (UTF-8),
                 value
        bytes    value, up to the end by `length`
        zeros    padding to a multiple of 8

Every frame starts at a multiple of 8, so CRC and length lie in one aligned word: no
sector ends within them, a length is whole or not there. A reader takes a frame only
when its CRC and its offset are right. Eight zero bytes are no frame (a length is never
0): a file that was grown and not written reads as its end.

Source: the layout of etcd's write-ahead log,
https://pkg.go.dev/go.etcd.io/etcd/server/v3/storage/wal
"""

import struct
import zlib
from enum import IntEnum
from typing import NamedTuple

from google_crc32c import value as crc32c

from service.commitlog.errors import BadRecords

__all__ = [
    "FILE_HEADER_BYTES",
    "FRAME_HEADER_BYTES",
    "VERSION",
    "BadFrame",
    "Compression",
    "PartialFrame",
    "Record",
    "decode",
    "encode",
    "file_header",
    "offset_in",
    "size_of",
    "version_in",
]

VERSION = 1
"""Of the format."""
_NAME = b"HSCLOG\x00"
_MAGIC = _NAME + bytes([VERSION])
_HEAD = struct.Struct("<IIQqHHI")
_TAIL = struct.Struct("<IQqHHI")
_CRC = struct.Struct("<I")
_HEADER = struct.Struct("<HI")

FILE_HEADER_BYTES = 16
"""Bytes before the first frame of a store."""
FRAME_HEADER_BYTES = _HEAD.size
"""Bytes of a frame before its key: the smallest frame."""

_SKIPPED = 8
"""Bytes of a frame that its length does not count."""
_COMPRESSION = 0b0111
_KEY = 0b1000
_LONGEST_NAME = 0xFFFF
_MOST_HEADERS = 0xFFFF


class BadFrame(Exception):
    """These bytes are no frame."""


class PartialFrame(BadFrame):
    """
    The bytes end within the frame.

    Args:
        needed: Bytes that the frame has, by its length.
    """

    def __init__(self, needed: int) -> None:
        super().__init__("the file ends within the frame")
        self.needed = needed


class Compression(IntEnum):
    """How a value is stored."""

    NONE = 0
    ZLIB = 1


class Record(NamedTuple):
    """
    What a log keeps.

    Attributes:
        value: Any bytes.
        key: Any bytes, or None.
        headers: Names and values, in their order; a name may come twice.
        offset: Its place, given by the log; -1 before.
        timestamp: Milliseconds since 1970 at which the log took it; -1 before.
    """

    value: bytes
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    offset: int = -1
    timestamp: int = -1


def file_header(base_offset: int) -> bytes:
    """Return the first bytes of a store."""
    return _MAGIC + base_offset.to_bytes(8, "little")


def version_in(header: bytes) -> int | None:
    """Return the version of the format of a store, if it begins as one."""
    if header.startswith(_NAME) and len(header) >= len(_MAGIC):
        return header[len(_NAME)]
    return None


def offset_in(head: bytes) -> int:
    """Return the offset that the first bytes of a frame say, unchecked."""
    return int.from_bytes(head[_SKIPPED : _SKIPPED + 8], "little")


def size_of(record: Record) -> int:
    """
    Return the bytes of the frame of *record*, uncompressed.

    Raises:
        BadRecords: More or longer headers than a frame can hold.
    """
    size = FRAME_HEADER_BYTES + len(record.value) + len(record.key or b"")
    if len(record.headers) > _MOST_HEADERS:
        raise BadRecords(f"more than {_MOST_HEADERS} headers")
    for name, value in record.headers:
        raw = len(name.encode())
        if raw > _LONGEST_NAME:
            raise BadRecords(f"the name of a header is over {_LONGEST_NAME} bytes")
        size += _HEADER.size + raw + len(value)
    return _padded(size)


def encode(
    record: Record,
    *,
    offset: int,
    timestamp: int,
    compression: Compression = Compression.NONE,
) -> bytes:
    """
    Return the frame of *record*; a value that doesn't shrink is stored as it is.

    Args:
        record: Its own offset and timestamp are not looked at.
        offset: Its place in the log.
        timestamp: Milliseconds since 1970.
        compression: Tried on the value.
    """
    value, attributes = _pack(record.value, compression)
    key = b""
    if record.key is not None:
        key, attributes = record.key, attributes | _KEY
    body = b"".join((key, *map(_pack_header, record.headers), value))
    length = FRAME_HEADER_BYTES - _SKIPPED + len(body)
    rest = b"".join(
        (
            _TAIL.pack(
                length, offset, timestamp, attributes, len(record.headers), len(key)
            ),
            body,
            bytes(-length % 8),
        )
    )
    return _CRC.pack(crc32c(rest)) + rest


def decode(data: bytes, start: int = 0) -> tuple[Record, int]:
    """
    Return the record whose frame begins at *start*, and where the frame ends.

    Raises:
        PartialFrame: *data* ends within the frame.
        BadFrame: These bytes are no frame, or a changed one.
    """
    room = len(data) - start
    if room < FRAME_HEADER_BYTES:
        raise PartialFrame(FRAME_HEADER_BYTES)
    crc, length, offset, timestamp, attributes, headers, key = _HEAD.unpack_from(
        data, start
    )
    if length < FRAME_HEADER_BYTES - _SKIPPED:
        raise BadFrame("no frame begins here")
    size = _padded(_SKIPPED + length)
    if size > room:
        raise PartialFrame(size)
    if crc32c(data[start + 4 : start + size]) != crc:
        raise BadFrame("the checksum is wrong")
    body = data[start + FRAME_HEADER_BYTES : start + _SKIPPED + length]
    try:
        return _record(body, offset, timestamp, attributes, headers, key), start + size
    except (struct.error, ValueError, zlib.error) as error:
        raise BadFrame(f"a frame of another format: {error}") from error


def _record(
    body: bytes, offset: int, timestamp: int, attributes: int, headers: int, key: int
) -> Record:
    if attributes & ~(_COMPRESSION | _KEY):
        raise ValueError(f"unknown attributes {attributes:#06x}")
    pairs, at = _unpack_headers(body, headers, key) if headers else ((), key)
    value = body[at:]
    # Most have none, and an enumeration is slow to look up.
    if attributes & _COMPRESSION:
        value = _unpack(value, Compression(attributes & _COMPRESSION))
    return Record(
        value, body[:key] if attributes & _KEY else None, pairs, offset, timestamp
    )


def _pack(value: bytes, compression: Compression) -> tuple[bytes, int]:
    if compression is Compression.ZLIB:
        packed = zlib.compress(value)
        if len(packed) < len(value):
            return packed, Compression.ZLIB
    return value, Compression.NONE


def _unpack(value: bytes, compression: Compression) -> bytes:
    return zlib.decompress(value) if compression is Compression.ZLIB else value


def _pack_header(header: tuple[str, bytes]) -> bytes:
    name, value = header[0].encode(), header[1]
    return _HEADER.pack(len(name), len(value)) + name + value


def _unpack_headers(
    body: bytes, count: int, at: int
) -> tuple[tuple[tuple[str, bytes], ...], int]:
    pairs = []
    for _ in range(count):
        name, value = _HEADER.unpack_from(body, at)
        at += _HEADER.size
        pairs.append(
            (body[at : at + name].decode(), body[at + name : at + name + value])
        )
        at += name + value
    return tuple(pairs), at


def _padded(size: int) -> int:
    return size + -size % 8
