"""Records of the log as messages of the API, and the other way."""

from collections.abc import Iterable, Sequence

from service.commitlog import Record
from service.commitlog.errors import RecordTooLarge
from service.log_api.errors import CallRefused, Reason
from service.log_api.v1 import log_pb2

__all__ = ["messages_of", "records_of"]

MOST_RECORDS = 10_000
"""Records of one request: a batch that is made in a moment."""

MOST_HEADERS = 65_535
"""Headers of all records of one request: those that one record may have."""


def records_of(messages: Sequence[log_pb2.Record]) -> list[Record]:
    """
    Return what a producer sent.

    Raises:
        CallRefused: There is none.
        RecordTooLarge: They are too many, or have too many headers.
    """
    if not messages:
        raise CallRefused(Reason.INVALID_REQUEST, "it has no records")
    # before there is an object of each: an empty one takes two bytes of a message, and
    # hundreds here
    if len(messages) > MOST_RECORDS:
        raise RecordTooLarge(f"a request is over {MOST_RECORDS} records")
    if sum(len(each.headers) for each in messages) > MOST_HEADERS:
        raise RecordTooLarge(f"a request is over {MOST_HEADERS} headers")
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
