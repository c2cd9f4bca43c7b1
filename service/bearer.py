"""
Routes for whoever holds a bearer token: asked for at each request, as it is then.

Attempts are throttled by address before the token is looked at; without that, nothing
would keep a guesser from being right at the ten-millionth one.
"""

import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import replace

from pydantic import SecretStr

from service.errors import TooManyRequests, Unauthorized, retry_after
from service.resilience.keyed_throttle import KeyedThrottle
from service.server.context import RequestContext
from service.server.responses import Response
from service.server.routes import Route

__all__ = ["Guard"]

ATTEMPTS = 10.0
"""Wrong tokens that one address may send at once."""

REFILL_RATE = 1 / 6
"""Wrong tokens per second that it may send in the long run: ten a minute."""

MOST_ADDRESSES = 10_000
"""Addresses whose attempts are remembered; for one more, an old one is forgotten."""


class Guard:
    """
    Asks for the token.

    Args:
        what: What the token is of, in one lower-case word; clients read it.
        token: Gives the token as it is now; None lets nobody in.
        count: Counts a refusal by its reason: `missing`, `wrong` or `throttled`.
        clock: Gives the time in seconds; it must not go backwards.

    Concurrency:
        For the admin port's event loop.
    """

    def __init__(
        self,
        what: str,
        *,
        token: Callable[[], SecretStr | None],
        count: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what = what
        self._challenge = {"www-authenticate": f'Bearer realm="{what}"'}
        self._token = token
        self._count = count
        self._guessers = KeyedThrottle(
            lambda: (ATTEMPTS, REFILL_RATE), max_keys=MOST_ADDRESSES, clock=clock
        )

    def protect(self, route: Route) -> Route:
        """Return *route* with a handler that asks for the token first."""

        async def guarded(ctx: RequestContext) -> Response:
            self.admit(ctx)
            response = await route.handler(ctx)
            response.add_header("cache-control", "no-store")
            return response

        return replace(route, handler=guarded)

    def admit(self, ctx: RequestContext) -> None:
        """
        Let a request pass that carries the token.

        Raises:
            Unauthorized: It carries none, or a wrong one.
            TooManyRequests: Its address has sent too many wrong ones; a right one has
                to wait too.
        """
        scheme, _, given = (ctx.raw_header(b"authorization") or b"").partition(b" ")
        if scheme.lower() != b"bearer" or not given.strip():
            self._count("missing")
            raise self._unauthorized(f"This needs the {self._what} token.")
        self._slow_down(ctx.client)
        if not self._is_token(given.strip()):
            self._count("wrong")
            raise self._unauthorized(f"The {self._what} token is wrong.")
        self._guessers.forget(ctx.client)

    def _unauthorized(self, detail: str) -> Unauthorized:
        return Unauthorized(detail, headers=self._challenge)

    def _slow_down(self, client: str) -> None:
        """Count an attempt; refuse an address that has sent too many wrong tokens."""
        wait = self._guessers.try_acquire(client)
        if wait > 0:
            self._count("throttled")
            headers = retry_after(wait)
            raise TooManyRequests("Too many wrong tokens.", headers=headers)

    def _is_token(self, given: bytes) -> bool:
        token = self._token()
        if token is None:
            return False
        wanted = token.get_secret_value().encode()
        # digests have one length: the time tells nothing of the token's either
        return hmac.compare_digest(_digest(given), _digest(wanted))


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()
