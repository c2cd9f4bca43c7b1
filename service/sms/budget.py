"""
The most messages in an hour: what a flood of alerts, or a fault of ours, may cost.

A window that slides, not a token bucket: a bucket grants its capacity and an hour's
refill within one hour, twice of what the setting says.
"""

import time
from collections import deque
from collections.abc import Callable

__all__ = ["Budget"]

HOUR = 3600.0
"""Seconds that a message counts."""


class Budget:
    """
    Counts messages over the last hour.

    Args:
        limit: Gives the most messages as it is now.
        clock: Gives the time in seconds; it must not go backwards.

    Concurrency:
        For one event loop.
    """

    def __init__(
        self, limit: Callable[[], int], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = limit
        self._clock = clock
        self._taken: deque[float] = deque()

    def take(self) -> float:
        """
        Count one message if there is room for it.

        Returns:
            0.0 when there is, else the seconds until there will be.
        """
        now, limit = self._clock(), self._limit()
        while self._taken and self._taken[0] <= now - HOUR:
            self._taken.popleft()
        if len(self._taken) < limit:
            self._taken.append(now)
            return 0.0
        # with a limit that was lowered, more than one must leave the window first
        return self._taken[len(self._taken) - limit] + HOUR - now

    def give_back(self) -> None:
        """Take back the latest message: it was not sent after all."""
        if self._taken:
            self._taken.pop()
