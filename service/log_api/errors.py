"""
Failures of the log service: as exceptions on both sides, as a status in between.

    CommitLogError             service.commitlog.errors: what any log raises
    ├── OffsetOutOfRange …     the same classes behind the network as before it
    └── CallRefused            what only a service raises: by its `reason`

A status carries `google.rpc.ErrorInfo` with one of the reasons below, so that a client
never has to read a sentence; `google.rpc.LocalizedMessage` in the caller's language for
people; and `google.rpc.RetryInfo` where it is known when a retry is worth it.

Source: https://google.aip.dev/193
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import cast

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import ErrorInfo, LocalizedMessage, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from service.commitlog.errors import (
    CommitLogError,
    LogBusy,
    LogClosed,
    LogDamaged,
    LogFull,
    LogUnreachable,
    OffsetOutOfRange,
    OutcomeUnknown,
    RecordTooLarge,
    WritesRefused,
)
from service.log_api.texts import text

__all__ = ["DOMAIN", "CallRefused", "Reason", "error_of", "reason_of", "status_of"]

DOMAIN = "log.v1"
"""Domain of the reasons."""


class Reason(StrEnum):
    """Why a call failed; `ErrorInfo.reason` has the name in capitals."""

    OFFSET_OUT_OF_RANGE = "offset_out_of_range"
    RECORD_TOO_LARGE = "record_too_large"
    LOG_BUSY = "log_busy"
    LOG_UNREACHABLE = "log_unreachable"
    LOG_FULL = "log_full"
    WRITES_REFUSED = "writes_refused"
    OUTCOME_UNKNOWN = "outcome_unknown"
    LOG_CLOSED = "log_closed"
    LOG_DAMAGED = "log_damaged"
    INVALID_REQUEST = "invalid_request"
    UNKNOWN_STREAM = "unknown_stream"
    UNAUTHENTICATED = "unauthenticated"
    PERMISSION_DENIED = "permission_denied"
    RATE_LIMITED = "rate_limited"
    TOO_MANY_CALLS = "too_many_calls"
    TOO_MANY_STREAMS = "too_many_streams"
    SLOW_CONSUMER = "slow_consumer"
    STOPPING = "stopping"
    TIMED_OUT = "timed_out"
    INTERNAL = "internal"


_CODES = {
    Reason.OFFSET_OUT_OF_RANGE: Code.OUT_OF_RANGE,
    Reason.RECORD_TOO_LARGE: Code.RESOURCE_EXHAUSTED,
    Reason.LOG_BUSY: Code.RESOURCE_EXHAUSTED,
    Reason.LOG_UNREACHABLE: Code.UNAVAILABLE,
    Reason.LOG_FULL: Code.RESOURCE_EXHAUSTED,
    Reason.WRITES_REFUSED: Code.UNAVAILABLE,
    Reason.OUTCOME_UNKNOWN: Code.UNAVAILABLE,
    Reason.LOG_CLOSED: Code.UNAVAILABLE,
    Reason.LOG_DAMAGED: Code.DATA_LOSS,
    Reason.INVALID_REQUEST: Code.INVALID_ARGUMENT,
    Reason.UNKNOWN_STREAM: Code.NOT_FOUND,
    Reason.UNAUTHENTICATED: Code.UNAUTHENTICATED,
    Reason.PERMISSION_DENIED: Code.PERMISSION_DENIED,
    Reason.RATE_LIMITED: Code.RESOURCE_EXHAUSTED,
    Reason.TOO_MANY_CALLS: Code.RESOURCE_EXHAUSTED,
    Reason.TOO_MANY_STREAMS: Code.RESOURCE_EXHAUSTED,
    Reason.SLOW_CONSUMER: Code.UNAVAILABLE,
    Reason.STOPPING: Code.UNAVAILABLE,
    Reason.TIMED_OUT: Code.DEADLINE_EXCEEDED,
    Reason.INTERNAL: Code.INTERNAL,
}

# a kind before those that it is a kind of
_OF_LOG: dict[type[CommitLogError], Reason] = {
    LogUnreachable: Reason.LOG_UNREACHABLE,
    OutcomeUnknown: Reason.OUTCOME_UNKNOWN,
    RecordTooLarge: Reason.RECORD_TOO_LARGE,
    LogBusy: Reason.LOG_BUSY,
    LogFull: Reason.LOG_FULL,
    WritesRefused: Reason.WRITES_REFUSED,
    LogClosed: Reason.LOG_CLOSED,
    LogDamaged: Reason.LOG_DAMAGED,
}

_BUSY_FOR = 0.1
"""Seconds after which a log that had too much to write is worth another try."""


class CallRefused(CommitLogError):
    """
    A call that the service did not do, or not to its end.

    Args:
        reason: Why.
        detail: What is wrong, for INVALID_REQUEST alone; clients read it.
        retry_after: Seconds after which a retry is worth it; None when nobody knows.
        about: What else clients may want to know, such as `next_offset`.
    """

    def __init__(
        self,
        reason: Reason,
        detail: str = "",
        *,
        retry_after: float | None = None,
        about: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason.value)
        self.reason = reason
        self.detail = detail
        self.retry_after = retry_after
        self.about = dict(about or {})


def status_of(error: CommitLogError, *, accept_language: str = "") -> Status:
    """
    Return the status that tells a client of *error*, and nothing that is not for it.

    Args:
        error: What was raised; of a log's own failures no text goes to the client,
            which may name files.
        accept_language: The caller's languages, as in HTTP's header.
    """
    reason, about = reason_of(error)
    values = {"request_id": "-", **about, "detail": getattr(error, "detail", "")}
    locale, message = text(reason, accept_language, values)
    status = Status(code=_CODES[reason], message=text(reason, "en", values)[1])
    info = ErrorInfo(reason=reason.name, domain=DOMAIN, metadata=about)
    details: list[Message] = [info, LocalizedMessage(locale=locale, message=message)]
    wait = _BUSY_FOR if reason is Reason.LOG_BUSY else getattr(error, "retry_after", 0)
    if wait:
        duration = Duration()
        duration.FromNanoseconds(int(wait * 1e9))
        details.append(RetryInfo(retry_delay=duration))
    for each in details:
        status.details.add().Pack(each)
    return status


def error_of(failure: grpc.RpcError | grpc.aio.AioRpcError) -> CommitLogError | None:
    """
    Return what the service raised, from what a call of it raised.

    Returns:
        None when the status is not the service's own: the network's, a proxy's.
    """
    status = rpc_status.from_call(cast("grpc.Call", failure))
    info, wait = ErrorInfo(), RetryInfo()
    for each in status.details if status else ():
        each.Unpack(info)
        each.Unpack(wait)
    if status is None or info.domain != DOMAIN:
        return None
    seconds = wait.retry_delay.ToTimedelta().total_seconds()
    return _raised(info, status.message, seconds or None)


def reason_of(error: CommitLogError) -> tuple[Reason, dict[str, str]]:
    """Return the reason of *error*, and what clients are told of it."""
    if isinstance(error, CallRefused):
        return error.reason, error.about
    if isinstance(error, OffsetOutOfRange):
        return Reason.OFFSET_OUT_OF_RANGE, {
            "offset": str(error.offset),
            "lowest": str(error.lowest),
            "next": str(error.next_offset),
        }
    found = (reason for kind, reason in _OF_LOG.items() if isinstance(error, kind))
    return next(found, Reason.INTERNAL), {}


def _raised(info: ErrorInfo, message: str, wait: float | None) -> CommitLogError:
    try:
        reason = Reason[info.reason]
    except KeyError:  # of a newer service
        return CallRefused(Reason.INTERNAL, f"{info.reason}: {message}")
    about = dict(info.metadata)
    if reason is Reason.OFFSET_OUT_OF_RANGE:
        return OffsetOutOfRange(
            int(about["offset"]),
            lowest=int(about["lowest"]),
            next_offset=int(about["next"]),
        )
    if reason is Reason.LOG_DAMAGED:
        return LogDamaged("a segment of the service", -1, message)
    for kind, its in _OF_LOG.items():
        if its is reason:
            return kind(message)
    return CallRefused(reason, message, retry_after=wait, about=about)
