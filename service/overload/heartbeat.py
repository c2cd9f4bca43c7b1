"""
How late the event loop is, as near as a timer tells it: what a request has waited where
the listener does not say when it came. Each beat is also the time to measure.
"""

import asyncio
import math
import time
from collections.abc import Callable

__all__ = ["Heartbeat"]


class Heartbeat:
    """
    Beats on the loop that it is started on.

    Args:
        on_beat: Called at each beat.
        interval: Seconds between two beats.
        clock: Gives the time in seconds.

    Concurrency:
        For one event loop.
    """

    def __init__(
        self,
        on_beat: Callable[[], None],
        *,
        interval: float = 0.05,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._due = math.inf
        self._on_beat = on_beat
        self._interval = interval
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to beat on the running loop."""
        self._on_beat()
        self._due = self._clock() + self._interval
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._interval, self.start)

    def stop(self) -> None:
        """Beat no more."""
        self._due = math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def overdue(self, now: float) -> float:
        """Return the seconds by which the next beat is late at *now*, by the clock."""
        return max(0.0, now - self._due)
