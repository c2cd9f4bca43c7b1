"""
A failure of gRPC, as what it says of the records.

Whatever the service itself says comes as it raised it (`service.log_api.errors`). Of
the network, and of what is in between:

    LogUnreachable    no connection, or none any more: nothing was taken
    NotConnected      the same, and nothing was sent
    ClientClosed      the client was closed meanwhile, or before; nothing was taken
    OutcomeUnknown    a produce that was sent and not answered
    RecordTooLarge    a message over the limit of either side
    CallFailed        any other status, such as of a server that is none of ours
"""

from typing import Literal

import grpc

from service.commitlog.errors import (
    CommitLogError,
    LogBusy,
    LogClosed,
    LogUnreachable,
    OutcomeUnknown,
    RecordTooLarge,
    WritesRefused,
)
from service.log_api.errors import CallRefused, Reason, error_of

__all__ = [
    "CallFailed",
    "ClientClosed",
    "IfUnknown",
    "NotConnected",
    "cuts_off",
    "is_free",
    "is_lost",
    "passes",
    "passes_unknown",
    "raised",
    "told",
]

IfUnknown = Literal["raise", "deduplicated", "again"]
"""What becomes of a produce whose outcome is unknown. `raise`: OutcomeUnknown.
`deduplicated`: it is sent again with the same id, for a service over JetStream, which
stores it once. `again`: it is sent again, and may be stored twice."""

_CUT = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
}
"""Statuses of a network or server that went away in the middle."""

_NOT_BEGUN = {
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
}
"""Statuses of what is no log service, or stands before one: it got no message."""

_PASSING = {
    Reason.STOPPING,
    Reason.SLOW_CONSUMER,
    Reason.RATE_LIMITED,
    Reason.TOO_MANY_CALLS,
    Reason.TOO_MANY_STREAMS,
}
"""Reasons that pass, and of which nothing was stored that was not acknowledged."""

_IN_DOUBT = {Reason.TIMED_OUT, Reason.INTERNAL}
"""Reasons of which nobody knows what was stored."""


class NotConnected(LogUnreachable):
    """Nobody is there to call; nothing was sent."""


class ClientClosed(LogClosed):
    """The client was closed: nothing was taken, and it makes no more calls."""

    def __init__(self) -> None:
        super().__init__("the client was closed")


class CallFailed(CommitLogError):
    """
    A status that the log service does not give.

    Args:
        code: The status.
        details: What it says.
    """

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(f"{code.name}: {details}")
        self.code = code


def raised(failure: grpc.aio.AioRpcError, *, produces: bool) -> CommitLogError:
    """
    Return what *failure* is to the caller.

    Args:
        failure: What a call raised that had a connection.
        produces: Whether the call was to store something.
    """
    error = error_of(failure)
    if error is not None:
        in_doubt = isinstance(error, CallRefused) and error.reason in _IN_DOUBT
        return OutcomeUnknown(str(error)) if produces and in_doubt else error
    code, details = failure.code(), failure.details() or ""
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return RecordTooLarge(details)
    if code not in _CUT:
        return CallFailed(code, details)
    text = f"{code.name}: {details}" if details else code.name
    return OutcomeUnknown(text) if produces else LogUnreachable(text)


def passes(error: Exception) -> bool:
    """Whether the same call may succeed soon, and stored nothing."""
    if isinstance(error, CallRefused):
        return error.reason in _PASSING
    if isinstance(error, ClientClosed):
        return False
    return isinstance(error, LogBusy | LogClosed)


def passes_unknown(error: Exception) -> bool:
    """Whether the same call may succeed soon, be it stored or not."""
    # what refuses all writes until a restart is the same kind, and does not pass soon
    return passes(error) or type(error) is OutcomeUnknown


def told(error: CommitLogError, *, in_doubt: bool) -> CommitLogError:
    """
    Return *error*, which must not say that nothing was stored when it may be.

    Args:
        error: Of the last attempt.
        in_doubt: Whether an attempt may have stored something.
    """
    if in_doubt and not isinstance(error, WritesRefused):
        return OutcomeUnknown(str(error))
    return error


def is_free(error: Exception) -> bool:
    """
    Whether the service is away: asking again is no burden to it.

    It waits for a connection first, and those come no faster than a channel makes them.
    """
    if isinstance(error, CallRefused):
        return error.reason is Reason.STOPPING
    if isinstance(error, LogClosed | NotConnected):
        return True
    return _foreign(error) is grpc.StatusCode.UNAVAILABLE


def cuts_off(error: Exception) -> bool:
    """
    Whether a stream that ended with *error* may have lost acknowledgements.

    The service itself sends those first. gRPC ends all of a call at once for one
    message that is too large.
    """
    code = _foreign(error)
    return code is not None and code not in _NOT_BEGUN


def is_lost(error: BaseException) -> bool:
    """Whether *error* speaks against the endpoint."""
    if isinstance(error, CallRefused):
        return error.reason is Reason.STOPPING
    if isinstance(error, ClientClosed):
        return False
    return isinstance(error, LogClosed | LogUnreachable | OutcomeUnknown)


def _foreign(error: Exception) -> grpc.StatusCode | None:
    """Return the status that became *error*, unless it is the service's own."""
    cause = error.__cause__
    if not isinstance(cause, grpc.aio.AioRpcError) or error_of(cause) is not None:
        return None
    return cause.code()
