"""
How many records and headers a message has, before any of them is made.

An empty record takes two bytes of a message and a hundred of memory once it is parsed,
so that one message of 4 MiB would be 200 MiB. Bytes that can begin a record or a header
are counted first, which takes no time; only a message that has many of them is parsed
twice, the first time as one whose parts are mere bytes, a few to each. Whoever sends
it need not be known yet, so nothing here goes through its fields one by one.

Source: https://protobuf.dev/programming-guides/encoding/
"""

import functools
from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from service.log_service.messages import MOST_HEADERS, MOST_RECORDS

__all__ = ["is_bounded"]

_RECORDS, _HEADERS = 2, 3
"""Numbers of the fields, of a request of producers and of a record."""

_BYTES = 2
"""Wire type of what has a length."""


def is_bounded(data: bytes) -> bool:
    """
    Whether the request has at most as many records and headers as it may.

    Args:
        data: A `ProduceRequest` or `ProduceStreamRequest`, whole or not; of what is no
            message at all nothing is known, and it is called bounded.
    """
    if (
        _may_begin(data, _RECORDS) <= MOST_RECORDS
        and _may_begin(data, _HEADERS) <= MOST_HEADERS
    ):
        return True
    try:
        records = _parts(_RECORDS, data)
        return len(records) <= MOST_RECORDS and (
            sum(len(_parts(_HEADERS, each)) for each in records) <= MOST_HEADERS
        )
    except DecodeError:
        return True


def _may_begin(data: bytes, number: int) -> int:
    """Return how many bytes may be the first of the field's tag, longer forms too."""
    tag = number << 3 | _BYTES
    return data.count(tag) + data.count(tag | 0x80)


def _parts(number: int, data: bytes) -> Any:
    """Return the bytes of each field of this *number*."""
    return _shape(number).FromString(data).parts


@functools.cache
def _shape(number: int) -> Any:
    """Return a message that knows the field of this *number* alone, as bytes."""
    file = FileDescriptorProto(name=f"{number}.proto", syntax="proto3")
    file.message_type.add(name=f"Shape{number}").field.add(
        name="parts",
        number=number,
        type=FieldDescriptorProto.TYPE_BYTES,
        label=FieldDescriptorProto.LABEL_REPEATED,
    )
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName(f"Shape{number}"))
