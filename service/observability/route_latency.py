"""
How long one route takes: since the start, and in the last minute.

The same counts as the latency histogram on `/metrics`, for whoever can't reach that
port and has no Prometheus: the page. Looked at every few seconds, so that the counts of
a minute ago are known; asked as often as one likes, they are added up a few times a
second at most.
"""

import asyncio
import itertools
import math
import time
from collections import deque
from collections.abc import Callable, Mapping

from service.observability.quantiles import histogram_quantile

__all__ = ["RouteLatency"]

WINDOW = 60.0
"""Seconds that are the last minute."""

STEP = 5.0
"""Seconds between two looks: by so much the last minute may be longer than one."""

FRESH = 0.25
"""Seconds that counts are told again before they are added up anew; workers bring
theirs no more often."""

PERCENTS = (50, 90, 99)

Counts = Mapping[float, int]
"""Requests of each bucket alone, by upper bound in seconds."""


class RouteLatency:
    """
    Remembers the counts of the last minute.

    Args:
        counts: Gives the counts so far.
        clock: Seconds of a monotonic clock.

    Concurrency:
        For one event loop.
    """

    name = "latency"

    def __init__(
        self,
        counts: Callable[[], Counts],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._count = counts
        self._clock = clock
        self._looks: deque[tuple[float, Counts]] = deque()
        self._now: tuple[float, Counts] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Begin to look."""
        self._arm()

    async def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def look(self) -> None:
        """Remember the counts of now, and forget those that are older than needed."""
        now, counts = self._fresh()
        self._looks.append((now, counts))
        while len(self._looks) > 1 and self._looks[1][0] <= now - WINDOW:
            self._looks.popleft()

    def snapshot(self) -> dict[str, object]:
        """
        Return what was counted.

        Returns:
            `bounds`, upper bounds in seconds; `since_start` and `last_minute`, each
            with `count`, `counts` of each bucket alone (one more than bounds, for what
            is above the last), `p50`, `p90` and `p99` in seconds, null while nothing
            was counted; `last_minute.seconds`, how long that is, less after the start.
        """
        now, counts = self._fresh()
        at, before = self._looks[0] if self._looks else (now, counts)
        recent = {each: counts[each] - before.get(each, 0) for each in counts}
        return {
            "bounds": [each for each in counts if each < math.inf],
            "since_start": _told(counts),
            "last_minute": {"seconds": round(now - at, 3), **_told(recent)},
        }

    def _arm(self) -> None:
        self.look()
        self._timer = asyncio.get_running_loop().call_later(STEP, self._arm)

    def _fresh(self) -> tuple[float, Counts]:
        now = self._clock()
        if self._now is None or now - self._now[0] >= FRESH:
            self._now = (now, self._count())
        return self._now


def _told(counts: Counts) -> dict[str, object]:
    sums = itertools.accumulate(counts.values())
    buckets = dict(zip(counts, map(float, sums), strict=True))
    quantiles = {
        f"p{percent}": _known(histogram_quantile(percent / 100, buckets))
        for percent in PERCENTS
    }
    return {"count": sum(counts.values()), "counts": [*counts.values()], **quantiles}


def _known(seconds: float) -> float | None:
    return round(seconds, 4) if math.isfinite(seconds) else None
