"""
The random delays of `/` so far, in this process: what the page draws.

Prometheus has the same numbers over time and over all replicas; these are for whoever
looks at the page and has no Prometheus at hand.
"""

import bisect
from collections import deque

__all__ = ["DelayHistogram"]

BUCKETS = 20
"""Buckets of equal width from 0 to the longest delay."""

KEPT = 2000
"""Latest delays that the quantiles are taken from."""


class DelayHistogram:
    """
    Counts delays in buckets, and keeps the latest for exact quantiles.

    Args:
        longest: Upper bound of the last bucket in seconds; one more takes what is
            above it.

    Concurrency:
        For one event loop.
    """

    def __init__(self, longest: float) -> None:
        self._latest: deque[float] = deque(maxlen=KEPT)
        self._longest = longest
        self._scale()

    def fit(self, longest: float) -> None:
        """Let the buckets end at *longest*; a change counts the latest delays anew."""
        if longest != self._longest:
            self._longest = longest
            self._scale()

    def observe(self, seconds: float) -> None:
        """Count one delay."""
        self._latest.append(seconds)
        self._count(seconds)

    def snapshot(self) -> dict[str, object]:
        """
        Return what was counted.

        Returns:
            `count`; `bounds`, upper bounds in seconds; `counts`, of each bucket alone,
            with one more for what is above the last bound; `p50`, `p90` and `p99` in
            seconds, null while nothing was counted.
        """
        ordered = sorted(self._latest)
        return {
            "count": sum(self._counts),
            "bounds": self._bounds,
            "counts": self._counts,
            **{f"p{percent}": _quantile(ordered, percent) for percent in (50, 90, 99)},
        }

    def _scale(self) -> None:
        width = (self._longest or 1.0) / BUCKETS
        self._bounds = [round(width * step, 6) for step in range(1, BUCKETS + 1)]
        self._counts = [0] * (BUCKETS + 1)
        for seconds in self._latest:
            self._count(seconds)

    def _count(self, seconds: float) -> None:
        self._counts[bisect.bisect_left(self._bounds, seconds)] += 1


def _quantile(ordered: list[float], percent: int) -> float | None:
    """Return the nearest-rank quantile of *ordered*, or None where nothing is."""
    if not ordered:
        return None
    rank = -(-len(ordered) * percent // 100)
    return round(ordered[rank - 1], 4)
