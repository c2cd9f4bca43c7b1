"""
Idempotency keys: a POST that is sent twice is done once.

A client that got no answer sends the same request again, with the same
`Idempotency-Key`. The first one does the work; what it came to is kept, and told again,
marked by `Idempotent-Replayed: true`, to whoever sends the same key with the same
request. The same key with another request is a mistake (422), and one that comes while
the first is under way is told to come back (409 with `Retry-After`): to wait would hold
a place of the service for each impatient client.

Work that fails is not kept, so that the client may try again: it must do all or
nothing. Keys are those of a caller and a route: nobody meets the keys of another user.

Kept in this process: with several workers or replicas a second request may reach one
that knows nothing of the first. That is right for work whose result is kept in the same
memory; whatever is done to a store that all share needs the keys in that store too.

Source: draft-ietf-httpapi-idempotency-key-header-07
"""

import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from service.errors import (
    BadRequest,
    RequestError,
    TooManyRequests,
    Unprocessable,
    retry_after,
)
from service.server.context import RequestContext

__all__ = ["HEADER", "REPLAYED", "Idempotency", "Outcome", "read_key"]

T = TypeVar("T")

HEADER = "Idempotency-Key"

REPLAYED = "idempotent-replayed"
"""Header of an answer that was given before."""

_KEY = re.compile(r'"([\x20\x21\x23-\x5b\x5d-\x7e]{1,255})"|([\x21\x23-\x7e]{1,255})')
"""A string of RFC 9651 without escapes, or the bare token that many clients send."""

_SOON = 1.0
"""Seconds after which a client may ask again for what is under way."""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """
    What a request came to.

    Attributes:
        value: What the work returned, now or before.
        replayed: Whether it was before.
    """

    value: T
    replayed: bool = False


@dataclass(slots=True)
class _Entry(Generic[T]):
    """What is known of one key; no outcome while the first request is under way."""

    fingerprint: bytes
    expires_at: float
    outcome: Outcome[T] | None = None


class Idempotency(Generic[T]):
    """
    Does the work of each key once.

    Args:
        ttl: Gives the seconds that an outcome is kept.
        max_keys: Gives the most keys that are kept; above them requests with a new one
            are refused: to forget one early would let its work be done twice.
        clock: Gives the time in seconds.

    Concurrency:
        Tasks of one event loop.
    """

    def __init__(
        self,
        *,
        ttl: Callable[[], float],
        max_keys: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ttl = ttl
        self._max_keys = max_keys
        self._clock = clock
        self._entries: OrderedDict[tuple[str, ...], _Entry[T]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    async def once(
        self,
        ctx: RequestContext,
        work: Callable[[], Awaitable[T]],
        *,
        fingerprint: bytes,
        user: str = "",
    ) -> Outcome[T]:
        """
        Return what *work* came to, done now or before; without a key it is done now.

        Args:
            ctx: The request, whose header has the key.
            work: Does all or nothing.
            fingerprint: Equal for equal requests, such as a digest of the body.
            user: Who asks, empty when nobody knows.

        Raises:
            BadRequest: The key can't be read.
            RequestError: 409: the first request with the key is under way.
            Unprocessable: The key belongs to another request.
            TooManyRequests: There is no room for another key.
        """
        key = read_key(ctx)
        if key is None:
            return Outcome(await work())
        place = (user, ctx.method, ctx.path, key)
        entry = self._known(place)
        if entry is not None:
            return _replayed(entry, fingerprint)
        entry = self._begun(place, fingerprint)
        try:
            value = await work()
        except BaseException:
            del self._entries[place]
            raise
        entry.outcome = Outcome(value)
        entry.expires_at = self._clock() + self._ttl()
        self._entries.move_to_end(place)
        return entry.outcome

    def _known(self, place: tuple[str, ...]) -> _Entry[T] | None:
        entry = self._entries.get(place)
        if entry is None or not self._is_over(entry):
            return entry
        del self._entries[place]
        return None

    def _begun(self, place: tuple[str, ...], fingerprint: bytes) -> _Entry[T]:
        """Return the entry of a new key; refuse it when there is no room."""
        while self._entries and self._is_over(next(iter(self._entries.values()))):
            self._entries.popitem(last=False)
        if len(self._entries) >= self._max_keys():
            self._sweep()
        if len(self._entries) >= self._max_keys():
            raise TooManyRequests(
                "Too many idempotency keys are kept; come again later.",
                headers=retry_after(self._ttl()),
            )
        entry = self._entries[place] = _Entry[T](fingerprint, self._clock())
        return entry

    def _sweep(self) -> None:
        """Forget all that is over, wherever it stands: what began early may be last."""
        over = [key for key, entry in self._entries.items() if self._is_over(entry)]
        for key in over:
            del self._entries[key]

    def _is_over(self, entry: _Entry[T]) -> bool:
        return entry.outcome is not None and self._clock() >= entry.expires_at


def _replayed(entry: _Entry[T], fingerprint: bytes) -> Outcome[T]:
    if entry.fingerprint != fingerprint:
        raise Unprocessable("This idempotency key belongs to another request.")
    if entry.outcome is None:
        raise RequestError(
            "The first request with this idempotency key is under way.",
            status=409,
            headers=retry_after(_SOON),
        )
    return Outcome(entry.outcome.value, replayed=True)


def read_key(ctx: RequestContext) -> str | None:
    """
    Return the key that the request carries, or None.

    Raises:
        BadRequest: It can't be read.
    """
    values = ctx.headers.getlist(HEADER)
    if not values:
        return None
    match = _KEY.fullmatch(values[0].strip()) if len(values) == 1 else None
    if match is None:
        raise BadRequest("Idempotency-Key must be one string of 1 to 255 characters.")
    return match[1] or match[2]
