"""
The filter that keeps each client to its rate: 429 above it, and headers on every answer
that tell what is left.

Source of the headers: draft-ietf-httpapi-ratelimit-headers-10. A bucket has no window:
`w` is the seconds in which an empty one fills, `t` those until this one is full.
"""

import math
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from service.errors import TooManyRequests, retry_after
from service.overload.refusals import Refused
from service.resilience.keyed_throttle import Allowance, KeyedThrottle
from service.server.addresses import unmapped
from service.server.context import RequestContext
from service.settings import ThrottleSettings

__all__ = ["Throttle", "address_key", "client_key"]


class SharedCount(Protocol):
    """Counts for all replicas."""

    async def acquire(self, key: str) -> Allowance:
        """Take a token of *key* if it is there."""


class Store(Protocol):
    """Where replicas count together."""

    @property
    def shared(self) -> SharedCount | None:
        """What counts there, if there is such a place."""


def address_key(address: str) -> str:
    """
    Return what a client is by its address: IPv4 as it is, the /64 network of IPv6.

    A client of IPv6 has a whole /64 at its hands (RFC 6177); a bucket for each of its
    addresses would limit nothing.
    """
    if ":" not in address or ":" not in (address := unmapped(address)):
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


class Throttle:
    """
    The filter that answers 429 to a client above its rate; probes always pass.

    Args:
        settings: Whether there is a limit, and whom it is for.
        local: Counts in this process.
        store: Has what counts for all replicas, if there is such.
        authenticate: Each returns the user of a request, or None; asked when a client
            is its user.
        refused: Counts.

    Concurrency:
        `adapt` on any thread, the filter on one event loop.
    """

    def __init__(
        self,
        settings: ThrottleSettings,
        *,
        local: KeyedThrottle,
        store: Store,
        authenticate: Iterable[Callable[[RequestContext], str | None]],
        refused: Refused,
    ) -> None:
        self._local = local
        self._store = store
        self._authenticate = authenticate
        self._refused = refused
        self.adapt(settings)

    def adapt(self, settings: ThrottleSettings) -> None:
        """Go by *settings* from now on."""
        self._by_user = settings.key == "user"
        window = math.ceil(settings.burst / settings.rate)
        policy = b'"default";q=%d;w=%d' % (settings.burst, window)
        self._policy = (b"ratelimit-policy", policy)
        self._enabled = settings.enabled

    def enter(self, ctx: RequestContext) -> Awaitable[None] | None:
        """Take a token of the client, or refuse; wait only for a shared store."""
        if not self._enabled or ctx.probe:
            return None
        if self._by_user:
            key = client_key(ctx, self._authenticate)
        else:
            key = address_key(ctx.client)
        shared = self._store.shared
        if shared is not None:
            return self._together(ctx, shared.acquire(key))
        self._tell(ctx, self._local.acquire(key))
        return None

    async def _together(self, ctx: RequestContext, asked: Awaitable[Allowance]) -> None:
        self._tell(ctx, await asked)

    def _tell(self, ctx: RequestContext, got: Allowance) -> None:
        """Tell the client what is left; raise when that is nothing."""
        wait, _, remaining, reset = got
        left = b'"default";r=%d;t=%d' % (remaining, math.ceil(reset))
        ctx.response_headers += (self._policy, (b"ratelimit", left))
        if wait > 0:
            self._refused("throttle", ctx.priority)
            raise _too_many(wait)


def _too_many(wait: float) -> TooManyRequests:
    return TooManyRequests(
        "Too many requests of this client; come again later.",
        headers=retry_after(wait),
    )
