"""
The filter that keeps each client to its rate: 429 above it, and headers on every answer
that tell what is left.

Source of the headers: draft-ietf-httpapi-ratelimit-headers-10. A bucket has no window:
`w` is the seconds in which an empty one fills, `t` those until this one is full.
"""

import math
import socket
from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache
from typing import Protocol

from service.errors import TooManyRequests, retry_after
from service.overload.refusals import Refused
from service.resilience.throttle import Allowance, KeyedThrottle
from service.server.addresses import unmapped
from service.server.application import Filter
from service.server.around import Around
from service.server.context import RequestContext
from service.settings import ThrottleSettings

__all__ = ["address_key", "client_key", "throttling"]


class SharedCount(Protocol):
    """Counts for all replicas."""

    async def acquire(self, key: str) -> Allowance:
        """Take a token of *key* if it is there."""


def address_key(address: str) -> str:
    """
    Return what a client is by its address: IPv4 as it is, the /64 network of IPv6.

    A client of IPv6 has a whole /64 at its hands (RFC 6177); a bucket for each of its
    addresses would limit nothing.
    """
    if ":" not in (address := unmapped(address)):
        return address
    try:
        packed = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
    except (OSError, ValueError):
        return address
    return packed[:8].hex()


def client_key(
    ctx: RequestContext, authenticate: Iterable[Callable[[RequestContext], str | None]]
) -> str:
    """
    Return who *ctx* is by the first that knows its user, else by its address.

    Args:
        ctx: The request.
        authenticate: Each returns the name of the user, or None.
    """
    for each in authenticate:
        user = each(ctx)
        if user is not None:
            return f"user:{user}"
    return address_key(ctx.client)


def throttling(
    local: KeyedThrottle,
    *,
    shared: Callable[[], SharedCount | None] = lambda: None,
    settings: Callable[[], ThrottleSettings],
    authenticate: Iterable[Callable[[RequestContext], str | None]],
    refused: Refused,
) -> Filter:
    """
    Return the filter that answers 429 to a client above its rate; probes always pass.

    Args:
        local: Counts in this process.
        shared: Gives what counts for all replicas, if there is such.
        settings: Gives the settings as they are now.
        authenticate: Each returns the user of a request, or None; asked when a client
            is its user.
        refused: Counts.
    """

    def throttle(ctx: RequestContext) -> Awaitable[None] | None:
        now = settings()
        if not now.enabled or ctx.probe:
            return None
        if now.key == "user":
            key = client_key(ctx, authenticate)
        else:
            key = address_key(ctx.client)
        store = shared()
        if store is not None:
            return together(ctx, store.acquire(key))
        _granted(ctx, local.acquire(key), now, refused)
        return None

    async def together(ctx: RequestContext, asked: Awaitable[Allowance]) -> None:
        _granted(ctx, await asked, settings(), refused)

    return Around(throttle)


def _granted(
    ctx: RequestContext, got: Allowance, settings: ThrottleSettings, refused: Refused
) -> None:
    """Tell the client what is left; raise when that is nothing."""
    ctx.response_headers += (
        (b"ratelimit-policy", _policy(settings.burst, settings.rate)),
        (b"ratelimit", b'"default";r=%d;t=%d' % (got.remaining, math.ceil(got.reset))),
    )
    if got.wait > 0:
        refused("throttle", ctx.priority)
        raise _too_many(got.wait)


@lru_cache(maxsize=4)
def _policy(burst: int, rate: float) -> bytes:
    return b'"default";q=%d;w=%d' % (burst, math.ceil(burst / rate))


def _too_many(wait: float) -> TooManyRequests:
    return TooManyRequests(
        "Too many requests of this client; come again later.",
        headers=retry_after(wait),
    )
