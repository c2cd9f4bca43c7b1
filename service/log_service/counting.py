"""
How many records and headers a message has, before any of them is made.

An empty record takes two bytes of a message and a hundred of memory once it is parsed,
so that one message of 4 MiB would be 200 MiB. Bytes that can begin a record or a header
are counted first, which takes no time; only a message that has many of them is walked.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Iterator

from service.log_service.messages import MOST_HEADERS, MOST_RECORDS

__all__ = ["is_bounded"]

_RECORDS, _HEADERS = 2, 3
"""Numbers of the fields, of a request of producers and of a record."""

_BYTES = 2
"""Wire type of what has a length."""

_MOST_SHIFT = 63
"""Bits before the tenth byte of a number, which is the last that it may have."""

_FIXED = {1: 8, 5: 4}
"""Bytes of the wire types that have a fixed size."""


def is_bounded(data: bytes) -> bool:
    """
    Whether the request has at most as many records and headers as it may.

    Args:
        data: A `ProduceRequest` or `ProduceStreamRequest`, whole or not.
    """
    if (
        _may_begin(data, _RECORDS) <= MOST_RECORDS
        and _may_begin(data, _HEADERS) <= MOST_HEADERS
    ):
        return True
    records = headers = 0
    for number, start, end in _fields(data, 0, len(data)):
        if number == _RECORDS:
            records += 1
            for inner, _, _ in _fields(data, start, end):
                headers += inner == _HEADERS
                if headers > MOST_HEADERS:
                    return False
        if records > MOST_RECORDS:
            return False
    return True


def _may_begin(data: bytes, number: int) -> int:
    """Return how many bytes may be the first of the field's tag, longer forms too."""
    tag = number << 3 | _BYTES
    return data.count(tag) + data.count(tag | 0x80)


def _fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield number, start and end of the fields that have a length; end when unsure."""
    try:
        while at < end:
            tag, at = _varint(data, at)
            kind = tag & 7
            if kind == _BYTES:
                length, at = _varint(data, at)
                yield tag >> 3, at, min(at + length, end)
                at += length
            elif kind == 0:
                _, at = _varint(data, at)
            else:
                at += _FIXED.get(kind, 0)
    except IndexError:
        return


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a number and the byte after it; IndexError when it has no end."""
    value = shift = 0
    while data[at] & 0x80:
        value |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if shift > _MOST_SHIFT:
            raise IndexError
    return value | data[at] << shift, at + 1
