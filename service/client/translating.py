"""Errors of the HTTP library, as ours."""

import os
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx2

from service.client.errors import (
    InvalidAnswer,
    InvalidRequest,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from service.resilience.timeout import DeadlineExceeded, remaining

__all__ = ["translated"]


@contextmanager
def translated(service: str) -> Iterator[None]:
    """
    Raise what comes of an attempt as errors of ours.

    Args:
        service: Name of the upstream, for their texts.
    """
    try:
        yield
    except DeadlineExceeded as error:
        over = remaining() == 0.0
        raise UpstreamTimeout(
            "no answer in time" if over else "no answer to this attempt in time",
            service=service,
            reason="timeout" if over else "attempt_timeout",
        ) from error
    except httpx2.InvalidURL as error:
        raise InvalidRequest(f"{service}: {error}") from error
    except httpx2.TransportError as error:
        raise _ours(error, service) from error
    except httpx2.DecodingError as error:
        raise InvalidAnswer(
            "the body is not encoded as its head says",
            service=service,
            reason="protocol",
        ) from error


def _ours(error: httpx2.TransportError, service: str) -> Exception:
    for kind, make in _BY_KIND:
        if isinstance(error, kind):
            return make(error, service)
    return UpstreamUnavailable(_text(error), service=service, reason="broken")


def _not_connected(error: Exception, service: str) -> UpstreamError:
    wrong = _certificate_error(error)
    if wrong is not None:
        return UpstreamUnavailable(
            f"its certificate is refused: {wrong.verify_message}",
            service=service,
            reason="certificate",
        )
    return UpstreamUnavailable(
        f"no connection: {_why(error)}", service=service, reason="connect"
    )


def _certificate_error(error: BaseException) -> ssl.SSLCertVerificationError | None:
    for seen in _causes(error):
        if isinstance(seen, ssl.SSLCertVerificationError):
            return seen
    return None


def _why(error: BaseException) -> str:
    """Return why nobody was reached; anyio's own words are that all attempts failed."""
    text = _text(error)
    if text != "All connection attempts failed":
        return text
    for seen in _causes(error):
        if isinstance(seen, OSError) and seen.errno:
            return os.strerror(seen.errno).lower()
    return text


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        if isinstance(seen, BaseExceptionGroup):  # an attempt for each address
            seen = seen.exceptions[0]
        else:
            seen = seen.__cause__ or seen.__context__


def _text(error: BaseException) -> str:
    return str(error) or type(error).__name__


_Make = Callable[[Exception, str], Exception]

_BY_KIND: tuple[tuple[type[Exception], _Make], ...] = (
    (
        httpx2.ConnectTimeout,
        lambda _error, service: UpstreamTimeout(
            "no connection in time", service=service, reason="connect_timeout"
        ),
    ),
    (
        httpx2.ReadTimeout,
        lambda _error, service: UpstreamTimeout(
            "it fell silent", service=service, reason="read_timeout"
        ),
    ),
    (
        httpx2.WriteTimeout,
        lambda _error, service: UpstreamTimeout(
            "it takes no more of the request", service=service, reason="write_timeout"
        ),
    ),
    (
        httpx2.PoolTimeout,
        lambda _error, service: UpstreamTimeout(
            "all connections are in use", service=service, reason="pool_timeout"
        ),
    ),
    (httpx2.ConnectError, _not_connected),
    (
        httpx2.RemoteProtocolError,
        lambda error, service: InvalidAnswer(
            _text(error), service=service, reason="protocol"
        ),
    ),
    (
        httpx2.UnsupportedProtocol,
        lambda error, service: InvalidRequest(f"{service}: {error}"),
    ),
    (
        httpx2.LocalProtocolError,
        lambda error, service: InvalidRequest(f"{service}: {error}"),
    ),
)
"""The first that fits counts."""
