"""
Rate limits: a token bucket, and one bucket per key with bounded memory.

A bucket holds tokens up to its capacity and gains them at a steady rate; each call
takes some. A burst up to the capacity passes at once, and in any window of *t* seconds
no more than capacity + rate·t tokens are granted.

Source: https://en.wikipedia.org/wiki/Token_bucket
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

__all__ = ["KeyedThrottle", "TokenBucket"]


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


class KeyedThrottle:
    """
    One token bucket per key, for the keys used last.

    Args:
        limits: Gives capacity and refill rate (tokens per second) of the buckets; asked
            at each call, so that new limits take effect at once, with full buckets.
        max_keys: Keys that are remembered; the one that was not used for the longest
            time is forgotten, and begins anew with a full bucket.
        clock: Gives the time in seconds.

    Concurrency:
        For one thread, such as an event loop.
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
        self._max_keys = max_keys
        self._clock = clock
        self._buckets: OrderedDict[Hashable, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def try_acquire(self, key: Hashable, n: float = 1.0) -> float:
        """Take *n* tokens of *key*: 0.0 when granted, else the seconds to wait."""
        return self._bucket(key).try_acquire(n)

    def _bucket(self, key: Hashable) -> TokenBucket:
        capacity, rate = self._limits()
        bucket = self._buckets.get(key)
        if bucket is None or (bucket.capacity, bucket.refill_rate) != (capacity, rate):
            bucket = self._buckets[key] = TokenBucket(capacity, rate, self._clock)
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._max_keys:
            self._buckets.popitem(last=False)
        return bucket
