"""
Why a call gave no answer.

    ClientError
    ├── InvalidRequest        the call can't be made like this
    └── UpstreamError         the fault is on the way, or at the other end
        ├── UpstreamUnavailable   nobody was reached, or the call was not made
        ├── UpstreamTimeout       it took longer than it may
        └── InvalidAnswer         what came back is no answer
            ├── AnswerTooLarge
            └── TooManyRedirects

An answer is an answer, also one of 500: it is returned. Each error of the HTTP library
is the cause of ours, so callers never see that library.
"""

from typing import Literal

from service.errors import ServiceError

__all__ = [
    "AnswerTooLarge",
    "ClientError",
    "InvalidAnswer",
    "InvalidRequest",
    "Reason",
    "TooManyRedirects",
    "UpstreamError",
    "UpstreamTimeout",
    "UpstreamUnavailable",
]

Reason = Literal[
    "connect",  # no connection
    "certificate",  # not whom we wanted to reach
    "broken",  # the connection broke
    "protocol",  # what came is no HTTP, or ended too early
    "circuit_open",  # it keeps failing, and is left alone
    "full",  # as many calls are under way as may be
    "no_endpoints",  # the service has no instance
    "unknown_service",  # nobody knows the service
    "connect_timeout",
    "write_timeout",
    "read_timeout",
    "pool_timeout",  # all connections stayed in use
    "attempt_timeout",
    "timeout",  # the call as a whole
    "too_large",
    "redirects",
]
"""A word for logs and metrics."""


class ClientError(ServiceError):
    """A call that gave no answer."""


class InvalidRequest(ClientError):
    """The call can't be made like this: its URL or a header is wrong."""


class UpstreamError(ClientError):
    """
    The upstream gave no answer.

    Args:
        text: What happened.
        service: Name of the upstream.
        reason: What happened, as a word.
        retry_after: Seconds after which another call makes sense, if known.
    """

    def __init__(
        self,
        text: str,
        *,
        service: str,
        reason: Reason,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{service}: {text}")
        self.service = service
        self.reason: Reason = reason
        self.retry_after = retry_after


class UpstreamUnavailable(UpstreamError):
    """Nobody was reached, the connection broke, or the call was not made at all."""


class UpstreamTimeout(UpstreamError):
    """The call, or a step of it, took longer than it may."""


class InvalidAnswer(UpstreamError):
    """What came back is no answer, or ended before its end."""


class AnswerTooLarge(InvalidAnswer):
    """The answer is larger than what may be read into memory."""


class TooManyRedirects(InvalidAnswer):
    """Each answer led to another one."""
