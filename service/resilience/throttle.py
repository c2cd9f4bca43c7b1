"""
Rate limits: a token bucket, and calls guarded by one. `keyed_throttle` has one bucket
per key.

    @Throttle("provider", capacity=10, refill_rate=2)
    async def send(): ...           refused with `Throttled` when there is no token

A bucket holds tokens up to its capacity and gains them at a steady rate; each call
takes some. A burst up to the capacity passes at once, and in any window of *t* seconds
no more than capacity + rate·t tokens are granted.

Source: https://en.wikipedia.org/wiki/Token_bucket
"""

import time
from collections.abc import Callable
from threading import Lock
from types import TracebackType
from typing import Self

from typing_extensions import override

from service.resilience.events import Event, Observe, ignore
from service.resilience.guarding import Guard

__all__ = ["Throttle", "Throttled", "TokenBucket"]


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
