"""
How busy endpoints are: the calls under way, and how long calls take.

The latency is an average that forgets by time and believes bad news at once: a call
that took longer replaces it, a faster one moves it slowly ("peak EWMA"). It falls while
nothing is heard, so that a slow endpoint is tried again.

Source: Finagle, `PeakEwma` load metric.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Collection

from service.discovery.model import Endpoint

__all__ = ["Load"]

DECAY = 10.0
"""Seconds in which a latency counts for a third of what it did."""

UNKNOWN = 1e-6
"""Seconds that an endpoint without calls is taken for: it is tried at once."""


class Load:
    """
    The load of the endpoints of one service, as this process sees it.

    Args:
        clock: Gives the time in seconds; it must not go backwards.

    Concurrency:
        For one thread, such as an event loop; `calls` and `latency` on any.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._calls: Counter[Endpoint] = Counter()
        self._latencies: dict[Endpoint, tuple[float, float]] = {}

    def begin(self, endpoint: Endpoint) -> float:
        """Count a call that is under way, and return when it began."""
        self._calls[endpoint] += 1
        return self._clock()

    def end(self, endpoint: Endpoint, since: float, *, finished: bool) -> None:
        """
        Take the end of a call.

        Args:
            endpoint: Who was called.
            since: What `begin` returned.
            finished: Whether there was an answer; the time of one that was given up
                counts only when it is a longer one.
        """
        self._calls[endpoint] -= 1
        if not self._calls[endpoint]:
            del self._calls[endpoint]
        now = self._clock()
        seconds = now - since
        known = self._latencies.get(endpoint)
        if known is None or seconds > _faded(known, now):
            self._latencies[endpoint] = (seconds, now)
        elif finished:
            rest = 1 - _faded((1.0, known[1]), now)
            self._latencies[endpoint] = (_faded(known, now) + rest * seconds, now)

    def calls(self, endpoint: Endpoint) -> int:
        """Return how many calls of it are under way."""
        return self._calls[endpoint]

    def latency(self, endpoint: Endpoint) -> float:
        """Return how long a call takes, in seconds; 0 when nothing is known."""
        known = self._latencies.get(endpoint)
        return 0.0 if known is None else _faded(known, self._clock())

    def expected(self, endpoint: Endpoint) -> float:
        """Return how long one more call would take behind those under way."""
        return (self.latency(endpoint) + UNKNOWN) * (self._calls[endpoint] + 1)

    def keep(self, endpoints: Collection[Endpoint]) -> None:
        """Forget the latencies of all others."""
        for gone in self._latencies.keys() - set(endpoints):
            del self._latencies[gone]


def _faded(known: tuple[float, float], now: float) -> float:
    """Return what is left at *now* of a value and its time."""
    value, since = known
    return value * math.exp((since - now) / DECAY)
