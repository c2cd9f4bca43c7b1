"""
Connections to addresses that are looked up here, or were given.

The pool looks names up as a part of connecting; whoever wants to know how long that
takes, or to reach an ingress before its name leads to it, asks here. TLS checks the
name as it always does.
"""

import asyncio
import socket
from collections.abc import Mapping, Sequence

import httpx2
from typing_extensions import override

__all__ = ["ResolvingTransport"]

_PORTS = {"http": 80, "https": 443}


class ResolvingTransport(httpx2.AsyncBaseTransport):
    """
    Looks a name up once, and tries its addresses one after the other.

    The `trace` of a request is told of `dns.started` and `dns.complete`.

    Args:
        inner: Makes the connections.
        given: Address by host and port, instead of what a look-up gives.

    Concurrency:
        Tasks of one event loop.
    """

    def __init__(
        self,
        inner: httpx2.AsyncBaseTransport,
        given: Mapping[tuple[str, int], str],
    ) -> None:
        self._inner = inner
        self._known: dict[tuple[str, int], Sequence[str]] = {
            place: [address] for place, address in given.items()
        }

    @override
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        addresses = await self._addresses(request)
        for number, address in enumerate(addresses, start=1):
            try:
                return await self._inner.handle_async_request(_at(request, address))
            except httpx2.ConnectError:
                if number == len(addresses):
                    raise
        raise AssertionError("a name has one address at least")

    @override
    async def aclose(self) -> None:
        await self._inner.aclose()

    async def _addresses(self, request: httpx2.Request) -> Sequence[str]:
        host = request.url.host
        port = request.url.port or _PORTS[request.url.scheme]
        known = self._known.get((host, port))
        if known is not None:
            return known
        trace = request.extensions.get("trace")
        if trace:
            await trace("dns.started", {})
        self._known[host, port] = known = await _looked_up(host, port)
        if trace:
            await trace("dns.complete", {})
        return known


async def _looked_up(host: str, port: int) -> Sequence[str]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpx2.ConnectError(f"the name {host} leads nowhere: {error}") from error
    return list(dict.fromkeys(str(place[0]) for *_, place in found))


def _at(request: httpx2.Request, address: str) -> httpx2.Request:
    """Return *request* for an address; its head and TLS name stay."""
    name = {"sni_hostname": request.url.host, **request.extensions}
    return httpx2.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions=name,
    )
