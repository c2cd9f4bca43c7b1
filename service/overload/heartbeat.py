"""
The time of the event loop's last turn, as near as a timer tells it.

A request that was begun in a turn can't have waited for the loop since before that
turn. This bounds what the listener tells of its wait, which may include the wait for
another request of the same connection, and stands in where a listener tells nothing.
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

    Attributes:
        last: When it beat last, by the clock; minus infinity while it does not beat.
        interval: Seconds between two beats.

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
        self.last = -math.inf
        self.interval = interval
        self._on_beat = on_beat
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to beat on the running loop."""
        self.last = self._clock()
        self._on_beat()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self.interval, self.start)

    def stop(self) -> None:
        """Beat no more."""
        self.last = -math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def waited(self, received: float | None, now: float) -> float:
        """
        Return how many seconds a request has waited for the event loop.

        Args:
            received: When it was read, or None if nobody knows.
            now: The time, by the clock of both.
        """
        turn = now - self.last
        if received is not None:
            return min(now - received, turn)
        return 0.0 if turn == math.inf else max(0.0, turn - self.interval)
