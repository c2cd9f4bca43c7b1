"""
Redirects, followed where somebody asks for it.

What is meant for one origin (credentials, cookies, the name of the host) is not sent to
another.

Source: RFC 9110, section 15.4.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Unpack
from urllib.parse import urldefrag, urljoin, urlsplit

from service.client.answers import Response
from service.client.calls import CallOptions
from service.client.client import Client
from service.client.errors import InvalidAnswer, InvalidRequest, TooManyRedirects

__all__ = ["following"]

_TO_GET = {301: {"POST"}, 302: {"POST"}}
"""Methods that become GET; 303 makes one of all but HEAD."""

_STATUSES = frozenset({301, 302, 303, 307, 308})

_PRIVATE = frozenset({"authorization", "cookie", "host", "proxy-authorization"})

_OF_BODY = frozenset({"content-length", "content-type", "content-encoding"})


@asynccontextmanager
async def following(
    client: Client, method: str, url: str, *, most: int, **options: Unpack[CallOptions]
) -> AsyncIterator[Response]:
    """
    Give the answer that is no redirect, as `Client.stream` does.

    Args:
        client: Makes the calls.
        method: Method of the first one.
        url: Where the first one goes.
        most: Redirects that are followed; 0 gives the first answer, whatever it is.
        options: See `CallOptions`; a streamed body can't be sent again.

    Raises:
        TooManyRedirects: There were more.
        InvalidAnswer: One leads to what is no URL.
        ClientError: As `Client.stream`.
    """
    for left in range(most, -1, -1):
        async with client.stream(method, url, **options) as answer:
            place = answer.headers.get("location")
            if not most or answer.status not in _STATUSES or place is None:
                yield answer
                return
            if not left:
                raise TooManyRedirects(
                    f"more than {most} redirects",
                    service=answer.upstream,
                    reason="redirects",
                )
            try:
                method, url, options = _next(method, url, place, answer.status, options)
            except ValueError as error:
                raise InvalidAnswer(
                    f"it leads to what is no URL: {error}",
                    service=answer.upstream,
                    reason="redirects",
                ) from error


def _next(
    method: str, url: str, place: str, status: int, options: CallOptions
) -> tuple[str, str, CallOptions]:
    """Return the call that a redirect asks for."""
    target = urldefrag(urljoin(url, place)).url
    dropped: set[str] = set()
    if not _same_origin(url, target):
        dropped |= _PRIVATE
        extensions = dict(options.get("extensions", {}))
        extensions.pop("sni_hostname", None)
        options = {**options, "extensions": extensions}
    becomes_get = status == 303 and method != "HEAD"  # noqa: PLR2004 - See Other
    if becomes_get or method in _TO_GET.get(status, ()):
        method, dropped = "GET", dropped | _OF_BODY
        options = {**options, "content": None}
    elif not isinstance(options.get("content"), bytes | None):
        raise InvalidRequest("a streamed body can't follow a redirect")
    headers = options.get("headers", ())
    pairs = headers.items() if hasattr(headers, "items") else headers
    kept = [(_text(name), _text(value)) for name, value in pairs]
    kept = [pair for pair in kept if pair[0].lower() not in dropped]
    return method, target, {**options, "headers": kept}


def _same_origin(one: str, other: str) -> bool:
    a, b = urlsplit(one), urlsplit(other)
    return (a.scheme, a.netloc.lower()) == (b.scheme, b.netloc.lower())


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")
