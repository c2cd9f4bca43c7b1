"""Records of the log as messages of the API, and the other way."""

from collections.abc import Iterable, Sequence

from service.commitlog import Record
from service.log_api.errors import CallRefused, Reason
from service.log_api.v1 import log_pb2

__all__ = ["messages_of", "records_of"]


def records_of(messages: Sequence[log_pb2.Record]) -> list[Record]:
    """
    Return what a producer sent.

    Raises:
        CallRefused: There is none.
    """
    if not messages:
        raise CallRefused(Reason.INVALID_REQUEST, "it has no records")
    return [
        Record(
            each.value,
            each.key if each.HasField("key") else None,
            tuple((header.name, header.value) for header in each.headers),
        )
        for each in messages
    ]


def messages_of(records: Iterable[Record]) -> list[log_pb2.Record]:
    """Return what a consumer gets."""
    return [
        log_pb2.Record(
            value=each.value,
            key=each.key,
            headers=[
                log_pb2.Header(name=name, value=value) for name, value in each.headers
            ],
            offset=each.offset,
            timestamp_ms=each.timestamp,
        )
        for each in records
    ]
