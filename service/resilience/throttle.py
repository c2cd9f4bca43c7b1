"""
Rate limits: a token bucket, calls guarded by one, and one bucket per key with bounded
memory.

    @Throttle("provider", capacity=10, refill_rate=2)
    async def send(): ...           refused with `Throttled` when there is no token

A bucket holds tokens up to its capacity and gains them at a steady rate; each call
takes some. A burst up to the capacity passes at once, and in any window of *t* seconds
no more than capacity + rate·t tokens are granted.

The keyed throttle keeps one float per key, the time at which its bucket is full again:
the theoretical arrival time of the generic cell rate algorithm, which grants what the
bucket grants.

Source: https://en.wikipedia.org/wiki/Token_bucket and ITU-T I.371, "Generic cell rate
algorithm" (https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm)
"""

import math
import time
from collections.abc import Callable, Hashable
from threading import Lock
from types import TracebackType
from typing import NamedTuple, Self

from typing_extensions import override

from service.resilience.events import Event, Observe, ignore
from service.resilience.guarding import Guard

__all__ = [
    "Allowance",
    "KeyedThrottle",
    "Throttle",
    "Throttled",
    "TokenBucket",
    "allowance",
]

_ROUNDING = 1e-6
"""Tokens by which a sum of fractions may miss what it should be."""

_SHARDS = 64
"""Dicts that many keys are spread over; a power of two."""


class Allowance(NamedTuple):
    """
    What a call got, and what its key has left.

    Attributes:
        wait: 0.0 when it was granted, else the seconds until it could be.
        limit: Tokens of a full bucket.
        remaining: Whole tokens that are left.
        reset: Seconds until the bucket is full again.
    """

    wait: float
    limit: int
    remaining: int
    reset: float


def allowance(wait: float, debt: float, capacity: float, rate: float) -> Allowance:
    """
    Return what a call came to.

    Args:
        wait: 0.0 when it was granted, else the seconds until it could be.
        debt: Seconds until the bucket is full again, after the call.
        capacity: Tokens of a full bucket.
        rate: Tokens that it gains per second.
    """
    left = capacity - debt * rate + _ROUNDING
    return Allowance(wait, int(capacity), int(left) if left > 0.0 else 0, debt)


class TokenBucket:
    """
    Grants tokens at a steady rate, with bursts up to its capacity.

    Args:
        capacity: Tokens it holds when full, > 0; it begins full.
        refill_rate: Tokens it gains per second, > 0.
        clock: Gives the time in seconds; it must not go backwards.

    Raises:
        ValueError: *capacity* or *refill_rate* is not above 0.

    Concurrency:
        For one thread, such as an event loop: nothing is awaited within.
    """

    __slots__ = ("_clock", "_tokens", "_updated", "capacity", "refill_rate")

    def __init__(
        self,
        capacity: float,
        refill_rate: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if capacity <= 0 or refill_rate <= 0:
            raise ValueError("capacity and refill_rate must be above 0")
        self.capacity = capacity
        self.refill_rate = refill_rate
        self._clock = clock
        self._tokens = capacity
        self._updated = clock()

    def try_acquire(self, n: float = 1.0) -> float:
        """
        Take *n* tokens if they are there.

        Returns:
            0.0 when they were granted, else the seconds until they could be; a refused
            call takes nothing.

        Raises:
            ValueError: *n* is not above 0, or more than the bucket ever holds.
        """
        if not 0 < n <= self.capacity:
            raise ValueError("n must be above 0 and at most the capacity")
        self._refill()
        if n <= self._tokens:
            self._tokens -= n
            return 0.0
        return (n - self._tokens) / self.refill_rate

    def _refill(self) -> None:
        now = self._clock()
        gained = (now - self._updated) * self.refill_rate
        self._tokens = min(self.capacity, self._tokens + gained)
        self._updated = now


class Throttled(Exception):
    """
    The call was not made: there have been enough of late.

    Attributes:
        retry_after: Seconds until one could be made.
    """

    def __init__(self, name: str, retry_after: float) -> None:
        super().__init__(f"too many calls of {name}" if name else "too many calls")
        self.retry_after = retry_after


class Throttle(Guard):
    """
    Lets calls pass as a token bucket grants them: `with throttle: …`, a decorator, or
    `call`. A call that is cancelled or fails has had its token.

    Args:
        name: What is throttled, for errors and events.
        capacity: Calls that may come at once, >= 1.
        refill_rate: Calls per second that may come for ever, > 0.
        observe: Told of `refused`.
        clock: Gives the time in seconds; it must not go backwards.

    Raises:
        ValueError: *capacity* is below 1 or *refill_rate* not above 0.
        Throttled: On entering, when no token is there.

    Concurrency:
        Any thread; nothing waits.
    """

    __slots__ = ("_bucket", "_lock", "_name", "_observe")

    def __init__(
        self,
        name: str = "",
        *,
        capacity: float,
        refill_rate: float,
        observe: Observe = ignore,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if capacity < 1:
            raise ValueError("capacity must be at least 1")
        self._name = name
        self._bucket = TokenBucket(capacity, refill_rate, clock)
        self._observe = observe
        self._lock = Lock()

    @override
    def guarded(self) -> Self:
        """Return the block around one call, which is the throttle itself."""
        return self

    def __enter__(self) -> Self:
        with self._lock:
            wait = self._bucket.try_acquire()
        if wait > 0.0:
            told = {"retry_after": wait}
            self._observe(Event("throttle", self._name, "refused", told))
            raise Throttled(self._name, wait)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave: a token is never given back."""


class KeyedThrottle:
    """
    One token bucket per key, in as little memory as can be.

    What is known of 1,000,000 addresses (IPv4, as text) takes 120 MB, the text
    included, and 150 MB while others take their place (measured with CPython 3.11).

    Args:
        limits: Gives capacity and refill rate (tokens per second) of the buckets; asked
            at each call, so that new limits take effect at once. What a key has taken
            stays taken, at most a full bucket of the new limits.
        max_keys: Keys that are remembered; for one more, one of those not used for
            longest is forgotten, and begins anew with a full bucket.
        clock: Gives the time in seconds.

    Concurrency:
        For one thread, such as an event loop; the length may be read by any.
    """

    def __init__(
        self,
        limits: Callable[[], tuple[float, float]],
        *,
        max_keys: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if max_keys < 1:
            raise ValueError("max_keys must be at least 1")
        self._limits = limits
        self._clock = clock
        self._take(limits())
        shards = _SHARDS if max_keys >= _SHARDS * _SHARDS else 1
        self._mask = shards - 1
        self._shards = [_Shard(max_keys // shards, clock()) for _ in range(shards)]

    def __len__(self) -> int:
        return sum(map(len, self._shards))

    def try_acquire(self, key: Hashable, n: float = 1.0) -> float:
        """Take *n* tokens of *key*: 0.0 when granted, else the seconds to wait."""
        return self.acquire(key, n).wait

    def acquire(self, key: Hashable, n: float = 1.0) -> Allowance:
        """
        Take *n* tokens of *key* if they are there; a refused call takes nothing.

        Returns:
            What it came to; the wait is `inf` for more than the bucket ever holds.
        """
        limits = self._limits()
        if limits is not self._taken:
            self._take(limits)
        capacity, rate = limits
        cost = n / rate
        shard = self._shards[hash(key) & self._mask]
        debt = shard.charge(key, cost, self._clock(), self._span, self._most)
        if debt <= self._most:
            remaining = int(capacity - debt * rate + _ROUNDING)
            # a third of what Allowance(…) takes
            return tuple.__new__(Allowance, (0.0, int(capacity), remaining, debt))
        wait = debt - self._span if n <= capacity else math.inf
        return allowance(wait, debt - cost, capacity, rate)

    def _take(self, limits: tuple[float, float]) -> None:
        """Work out once what all calls under the same limits need."""
        capacity, rate = self._taken = limits
        self._span = capacity / rate
        self._most = self._span + _ROUNDING / rate

    def forget(self, key: Hashable) -> None:
        """Give *key* a full bucket, whatever it has taken."""
        self._shards[hash(key) & self._mask].forget(key)


class _Shard:
    """
    Some of the keys: those used of late, and the older ones.

    Once every older key must be full again, forgetting it loses nothing: each call
    drops two, so that no call pays for all. Shards are small, so that no call waits for
    the copy of a large dict that grows.
    """

    __slots__ = ("_full_at", "_max_keys", "_older", "_parted")

    def __init__(self, max_keys: int, now: float) -> None:
        self._max_keys = max_keys
        self._full_at: dict[Hashable, float] = {}
        self._older: dict[Hashable, float] = {}
        self._parted = now

    def __len__(self) -> int:
        return len(self._full_at) + len(self._older)

    def charge(
        self, key: Hashable, cost: float, now: float, span: float, most: float
    ) -> float:
        """
        Let *key* owe *cost* seconds more, unless that would be more than *most*.

        Args:
            key: Whose bucket.
            cost: Seconds that the tokens take to come.
            now: The time in seconds.
            span: Seconds in which an empty bucket fills. What a key owes beyond came
                under other limits, and is worth no more than an empty bucket.
            most: *span* and what rounding may add to it.

        Returns:
            What it owes then, or would owe if it were granted.
        """
        if now - self._parted >= span:
            self._forget_full(now)
        known = self._full_at.get(key)
        full_at = self._older.get(key, now) if known is None else known
        debt = full_at - now
        if debt < 0.0:
            debt = 0.0
        elif debt > span:
            debt = span
        debt += cost
        if debt <= most:
            if known is None:
                self._make_room(key, now)
            self._full_at[key] = now + debt
        return debt

    def _make_room(self, key: Hashable, now: float) -> None:
        """Let *key*, which was not used of late, be one of those that were."""
        self._older.pop(key, None)
        if len(self._full_at) + len(self._older) >= self._max_keys:
            self._evict(now)

    def forget(self, key: Hashable) -> None:
        """Know nothing of *key*."""
        self._full_at.pop(key, None)
        self._older.pop(key, None)

    def _forget_full(self, now: float) -> None:
        older = self._older
        if not older:
            self._part(now)
            return
        older.popitem()
        if older:
            older.popitem()

    def _evict(self, now: float) -> None:
        if not self._older:
            self._part(now)
        self._older.popitem()

    def _part(self, now: float) -> None:
        """Make the keys of now the older ones."""
        self._older, self._full_at = self._full_at, {}
        self._parted = now
