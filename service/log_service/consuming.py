"""What consumers ask for, within the limits of the service."""

from service.commitlog.errors import CommitLogError
from service.log_api.errors import CallRefused, Reason
from service.log_api.v1 import log_pb2
from service.observability.logging import get_logger
from service.settings.log_service import LogLimitSettings

__all__ = ["tell_slow", "within"]

MOST_RECORDS = 1000
"""Records of a message to consumers."""

MOST_BYTES = 1_048_576
"""Bytes of records after which no further one is added to an answer."""

MOST_STREAM_BYTES = 262_144
"""The same of a message of a stream: one that is not read is kept in several forms."""


def tell_slow(error: CommitLogError, stream: str) -> None:
    """Log that a consumer was too slow; the line of its call may come much later."""
    if isinstance(error, CallRefused) and error.reason is Reason.SLOW_CONSUMER:
        get_logger("httpserver.log_service").warning("consumer_too_slow", stream=stream)


def within(
    request: log_pb2.ConsumeRequest | log_pb2.ConsumeStreamRequest,
    limits: LogLimitSettings,
) -> dict[str, int]:
    """Return the limits of one read: the caller's, within ours."""
    is_stream = isinstance(request, log_pb2.ConsumeStreamRequest)
    most_bytes = min(
        MOST_STREAM_BYTES if is_stream else MOST_BYTES, limits.max_message_bytes
    )
    return {
        "max_records": min(request.max_records or MOST_RECORDS, MOST_RECORDS),
        "max_bytes": min(request.max_bytes or most_bytes, most_bytes),
    }
