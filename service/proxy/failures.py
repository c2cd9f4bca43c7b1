"""
What may go wrong between the proxy and an upstream, and what the client gets for it.

    502  the upstream refused, answered what is no answer, or left before its head
    403  its name, or discovery, leads to an address that nothing may be sent to
    503  it is not asked: its breaker is open, it has no endpoint, or no connection left
    504  it took too long to connect, or to answer

The client is told the upstream's name and the kind of failure; addresses and causes
are for the log alone.
"""

from service.errors import RequestError, retry_after

__all__ = [
    "BadAnswer",
    "CertificateRefused",
    "ClientLeft",
    "Failure",
    "ForbiddenAddress",
    "NotConnected",
    "TimedOut",
    "TornOff",
    "Unasked",
    "Unwell",
    "as_problem",
]


class Failure(Exception):
    """
    An attempt that came to nothing.

    Attributes:
        status: What the client gets for it.
        reason: One word for log and metrics.
        words: A sentence for the client.
        sent: Whether the upstream may have got the request.
    """

    status = 502
    reason = "failed"
    words = "The upstream failed."
    sent = True


class NotConnected(Failure):
    """There is no connection to be had."""

    reason = "refused"
    words = "The upstream can't be reached."
    sent = False


class CertificateRefused(NotConnected):
    """It is not who it says: another name, another authority, another day."""

    reason = "certificate"
    words = "The upstream's certificate can't be trusted."


class ForbiddenAddress(Failure):
    """What it is called leads to an address that nothing may be sent to."""

    status = 403
    reason = "forbidden_address"
    words = "The upstream is where no request may go."
    sent = False


class BadAnswer(Failure):
    """What came is no answer that can be passed on."""

    reason = "bad_answer"
    words = "The upstream's answer is malformed."


class Unwell(Failure):
    """An answer that says that the endpoint can't: 502, 503 or 504."""

    reason = "unwell"
    words = "The upstream is not well."


class TornOff(Failure):
    """The connection ended before the answer did."""

    reason = "cut"
    words = "The upstream ended the connection before it answered."


class TimedOut(Failure):
    """
    The upstream took too long.

    Args:
        phase: What it was to do: `connect`, `head`, `idle` or `total`.
    """

    status = 504
    words = "The upstream did not answer in time."

    def __init__(self, phase: str) -> None:
        super().__init__(f"time-out: {phase}")
        self.reason = f"{phase}_timeout"
        self.sent = phase != "connect"


class Unasked(Failure):
    """
    The upstream is not asked for now.

    Args:
        reason: `open`, `no_endpoint`, `unknown_service` or `busy`.
        words: A sentence for the client.
        wait: Seconds after which the client may come again.
    """

    status = 503
    sent = False

    def __init__(self, reason: str, words: str, wait: float = 1.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.words = words
        self.wait = wait


class ClientLeft(Failure):
    """Nobody waits for the answer any more."""

    status = 499
    reason = "client_left"
    words = "The client left."


def as_problem(failure: Failure, upstream: str) -> RequestError:
    """Return the answer that *failure* comes to."""
    headers = retry_after(max(failure.wait, 1.0)) if hasattr(failure, "wait") else None
    return RequestError(
        failure.words,
        status=failure.status,
        headers=headers,
        extensions={"upstream": upstream, "reason": failure.reason},
    )
