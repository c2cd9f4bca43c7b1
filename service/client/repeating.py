"""
Which calls may be repeated, and after which failures.

    failure                        idempotent, or with a key     other
    no connection was made         repeated                      repeated
    time-out or break after it     repeated                      not
    429, 502, 503, 504             repeated                      not
    any other answer               not                           not
    refused here (breaker, room)   not                           not

A wrong certificate gets no better in a second, and an attempt that has begun to send a
streamed body can't send it again: neither is repeated. `Retry-After` is waited for, as
seconds or as a date.

Source: RFC 9110, sections 9.2.2 (idempotent methods) and 10.2.3 (Retry-After);
draft-ietf-httpapi-idempotency-key-header.
"""

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

from service.client.answers import Response
from service.client.errors import UpstreamError
from service.resilience.timeout import DeadlineExceeded

__all__ = [
    "IDEMPOTENT",
    "BadAnswer",
    "may_repeat_any",
    "may_repeat_unsent",
    "retry_after",
    "says_nothing",
    "speaks_against",
]

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"})
"""Methods whose effect is the same twice; QUERY is as safe as GET."""

TRANSIENT_STATUSES = frozenset({429, 502, 503, 504})
"""Answers that may be others soon."""

SERVER_ERROR = 500

_NOT_SENT = frozenset({"connect", "connect_timeout"})
_TRANSIENT = _NOT_SENT | {
    "broken",
    "protocol",
    "read_timeout",
    "write_timeout",
    "attempt_timeout",
}
_OURS = frozenset({"circuit_open", "full", "pool_timeout", "too_large"})
"""Reasons that lie with us, and say nothing about the upstream."""


class BadAnswer(Exception):
    """
    An answer that speaks against the upstream, or asks to come again.

    Args:
        status: Its status.
        retry_after: Seconds that it asks to wait, if it does.
        answer: The answer itself.
    """

    def __init__(
        self,
        status: int,
        *,
        retry_after: float | None = None,
        answer: Response | None = None,
    ) -> None:
        super().__init__(f"status {status}")
        self.status = status
        self.retry_after = retry_after
        self.answer = answer

    @staticmethod
    def is_one(status: int) -> bool:
        """Whether an answer of *status* is one."""
        return status >= SERVER_ERROR or status in TRANSIENT_STATUSES


def may_repeat_any(error: Exception) -> bool:
    """Whether a call that may happen twice is repeated after *error*."""
    if isinstance(error, BadAnswer):
        return error.status in TRANSIENT_STATUSES
    if isinstance(error, DeadlineExceeded):  # of an attempt that was hedged
        return True
    return isinstance(error, UpstreamError) and error.reason in _TRANSIENT


def may_repeat_unsent(error: Exception) -> bool:
    """Whether a call is repeated that must not happen twice: it has not happened."""
    return isinstance(error, UpstreamError) and error.reason in _NOT_SENT


def speaks_against(error: BaseException) -> bool:
    """Whether the upstream is to blame, for the breaker and the balancer."""
    if isinstance(error, BadAnswer):
        return error.status >= SERVER_ERROR
    if isinstance(error, DeadlineExceeded):
        return True
    return isinstance(error, UpstreamError) and error.reason not in _OURS


def says_nothing(error: BaseException) -> bool:
    """Whether an error tells neither for nor against the upstream, for the breaker."""
    return not (isinstance(error, BadAnswer) or speaks_against(error))


def retry_after(
    value: str | None, clock: Callable[[], float] = time.time
) -> float | None:
    """
    Return the seconds that a `Retry-After` asks for; None for none, or a malformed one.

    Args:
        value: The header.
        clock: Gives the time as seconds since 1970.
    """
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - clock())
    except (ValueError, OverflowError):
        return None
