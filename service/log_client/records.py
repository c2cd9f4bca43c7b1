"""Records as messages that are sent, and as they come back."""

import uuid
from collections.abc import Iterable

from service.commitlog.jetstream_message import with_message_id
from service.commitlog.record import Record
from service.log_api.v1 import log_pb2

__all__ = ["received", "to_send", "with_id"]


def to_send(record: Record) -> log_pb2.Record:
    """Return *record* without what the log gives it."""
    headers = [log_pb2.Header(name=name, value=value) for name, value in record.headers]
    return log_pb2.Record(value=record.value, key=record.key, headers=headers)


def received(messages: Iterable[log_pb2.Record]) -> list[Record]:
    """Return the records of *messages*."""
    return [
        Record(
            each.value,
            each.key if each.HasField("key") else None,
            tuple((header.name, header.value) for header in each.headers),
            each.offset,
            each.timestamp_ms,
        )
        for each in messages
    ]


def with_id(record: Record) -> Record:
    """Return *record* with an id by which JetStream knows it again."""
    return with_message_id(record, uuid.uuid4().hex)
