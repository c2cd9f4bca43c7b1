"""The connections of upstreams: a pool each, so that none takes the others' room."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx2
from typing_extensions import override

from service.settings import ClientSettings

__all__ = ["MakeTransport", "Pools"]

MakeTransport = Callable[[bool], Awaitable[httpx2.AsyncBaseTransport]]
"""Makes the connections of one upstream, which are by TLS or are not."""

_Trace = Callable[[str, Mapping[str, Any]], Awaitable[None]]
"""Is told of each step of a request, by its name, and what is known of it."""


class Pools:
    """
    Makes pools; all share what they know of authorities.

    Args:
        settings: How many connections there may be, and who vouches for upstreams.
        verify: Whether anybody has to vouch for them; without, whoever is in between
            may read along and answer.

    Concurrency:
        Tasks of one event loop.
    """

    def __init__(self, settings: ClientSettings, *, verify: bool = True) -> None:
        self._settings = settings
        self._verify = verify
        self._lock = asyncio.Lock()
        self._trust: ssl.SSLContext | None = None

    async def __call__(self, secure: bool) -> httpx2.AsyncBaseTransport:  # noqa: FBT001 - its one argument
        """Return a pool, for TLS or for none."""
        settings = self._settings
        return (_SecurePool if secure else httpx2.AsyncHTTPTransport)(
            verify=await self._trusting() if secure else _nobody(),
            trust_env=False,
            limits=httpx2.Limits(
                max_connections=settings.max_connections,
                max_keepalive_connections=settings.max_idle_connections,
                keepalive_expiry=settings.idle_timeout,
            ),
        )

    async def _trusting(self) -> ssl.SSLContext:
        async with self._lock:
            if self._trust is None:
                # reading the system's authorities would hold the event loop up
                make = _trust if self._verify else _everybody
                self._trust = await asyncio.to_thread(make, self._settings)
            return self._trust


class _SecurePool(httpx2.AsyncHTTPTransport):
    """
    A pool for TLS that keeps no connection whose handshake was cancelled.

    The library closes one whose handshake failed; one whose call was cancelled
    meanwhile it would forget, and it would be open until the upstream ends it.
    """

    @override
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        told = request.extensions.get("trace")
        request.extensions = {**request.extensions, "trace": _closing(told)}
        return await super().handle_async_request(request)


def _closing(told: _Trace | None) -> _Trace:
    """
    Return a trace that closes the connection when its handshake comes to nothing.

    Args:
        told: Is told of all steps, too.

    Source: https://www.encode.io/httpcore/extensions/#trace
    """
    stream: Any = None

    async def trace(step: str, seen: Mapping[str, Any]) -> None:
        nonlocal stream
        if step == "connection.connect_tcp.complete":
            stream = seen["return_value"]
        elif step == "connection.start_tls.failed":
            await stream.aclose()
        if told is not None:
            await told(step, seen)

    return trace


def _trust(settings: ClientSettings) -> ssl.SSLContext:
    if settings.ca_file is not None:
        return ssl.create_default_context(cafile=settings.ca_file)
    return httpx2.create_ssl_context()


def _everybody(settings: ClientSettings) -> ssl.SSLContext:
    """Return what believes whoever answers, as a person asked for."""
    context = _trust(settings)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _nobody() -> ssl.SSLContext:
    """Return what trusts nobody, and takes no time to make."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
