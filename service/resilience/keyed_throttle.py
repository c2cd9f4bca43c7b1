"""
Rate limits by key, such as the address of a client, in bounded memory.

A keyed throttle grants each key what a token bucket of its own would grant (`throttle`)
and keeps one float for it, the time at which its bucket is full again: the theoretical
arrival time of the generic cell rate algorithm.

Source: ITU-T I.371, "Generic cell rate algorithm"
(https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm)
"""

import math
import time
from collections.abc import Callable, Hashable
from typing import NamedTuple

__all__ = ["Allowance", "KeyedThrottle", "allowance"]

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


class KeyedThrottle:
    """
    One token bucket per key, in as little memory as can be.

    What is known of 1,000,000 addresses (IPv4, as text) takes 125 MB, the text
    included, and up to 160 MB as they come again and others take their place (measured
    with CPython 3.11).

    Args:
        limits: Gives capacity and refill rate (tokens per second) of the buckets; asked
            at each call, so that new limits take effect at once. What a key has taken
            stays taken, at most a full bucket of the new limits.
        max_keys: Keys that are remembered; for one more, one of those not used for
            longest is forgotten, and begins anew with a full bucket. To be refused is
            a use as well.
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

    Those used of late stand in the order of their last use, the older ones in the
    reverse: a dict gives its last item at once, while the way to its first leads past
    all that were there before.

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
        full_at = self._full_at.pop(key, None)
        if full_at is None:
            full_at = self._older.pop(key, None)
        if full_at is None:
            if cost > most:
                return cost
            self._make_room(now)
            debt = 0.0
        else:
            debt = full_at - now
            if debt < 0.0:
                debt = 0.0
            elif debt > span:
                debt = span
        owed = debt + cost
        # put in anew even when it is refused: for that is a use too, and what it owes
        # fills from now on, not at the time that other limits have set
        self._full_at[key] = now + (owed if owed <= most else debt)
        return owed

    def _make_room(self, now: float) -> None:
        """Forget a key, the one not used for longest, if there is no room for more."""
        if len(self._full_at) + len(self._older) < self._max_keys:
            return
        if not self._older:
            self._part(now)
        self._older.popitem()

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

    def _part(self, now: float) -> None:
        """Make the keys of now the older ones, and the oldest the last of them."""
        self._older, self._full_at = dict(reversed(self._full_at.items())), {}
        self._parted = now
