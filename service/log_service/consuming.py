"""What consumers ask for, within the limits of the service."""

from collections.abc import AsyncGenerator, Sequence
from typing import cast

from service.commitlog import CommitLog, Record
from service.commitlog.errors import CommitLogError, OffsetOutOfRange
from service.log_api.errors import CallRefused, Reason
from service.log_api.v1 import log_pb2
from service.observability.logging import get_logger
from service.settings.log_service import LogLimitSettings

__all__ = ["check_offset", "followed", "tell_slow", "within"]

MOST_RECORDS = 1000
"""Records of a message to consumers."""

MOST_BYTES = 1_048_576
"""Bytes of records after which no further one is added to a message."""


def tell_slow(error: CommitLogError, stream: str) -> None:
    """Log that a consumer was too slow; the line of its call may come much later."""
    if isinstance(error, CallRefused) and error.reason is Reason.SLOW_CONSUMER:
        get_logger("httpserver.log_service").warning("consumer_too_slow", stream=stream)


def within(
    request: log_pb2.ConsumeRequest | log_pb2.ConsumeStreamRequest,
    limits: LogLimitSettings,
) -> dict[str, int]:
    """Return the limits of one read: the caller's, within ours."""
    most_bytes = min(MOST_BYTES, limits.max_message_bytes)
    return {
        "max_records": min(request.max_records or MOST_RECORDS, MOST_RECORDS),
        "max_bytes": min(request.max_bytes or most_bytes, most_bytes),
    }


def followed(
    log: CommitLog,
    request: log_pb2.ConsumeStreamRequest,
    limits: LogLimitSettings,
) -> AsyncGenerator[Sequence[Record], None]:
    """Return the batches, which are to be closed as the protocol says."""
    batches = log.follow(request.offset, **within(request, limits))
    return cast("AsyncGenerator[Sequence[Record], None]", batches)


def check_offset(log: CommitLog, offset: int) -> None:
    """Refuse an offset that a follower could only wait for, or that is gone."""
    lowest, end = log.offsets()
    if not lowest <= offset <= end:
        raise OffsetOutOfRange(offset, lowest=lowest, next_offset=end)
