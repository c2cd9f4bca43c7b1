"""
How late an event loop wakes: the one number that shows a blocked or overloaded loop.

A timer is set for every `interval`; the lateness of its call is observed, and the time
of the call is the heartbeat that liveness looks at from another thread. A worker
process publishes its metrics at the same times.
"""

import asyncio
import time

from service.observability.metrics import Metrics

__all__ = ["LoopLag"]


class LoopLag:
    """
    Samples the loop that it is started on.

    Args:
        metrics: Where the lag is observed.
        loop: Name of the loop, the label's value.
        interval: Seconds between two samples.

    Attributes:
        heartbeat: `time.monotonic()` of the last sample; any thread may read it.
    """

    name = "loop_lag"

    def __init__(self, metrics: Metrics, *, loop: str, interval: float = 0.25) -> None:
        self.heartbeat = time.monotonic()
        self._lag = metrics.loop_lag.labels(loop)
        self._publish = metrics.publish
        self._interval = interval
        self._timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Begin to sample the running loop."""
        self._publish()
        self._arm()

    async def stop(self) -> None:
        """Stop sampling; what was counted until now is published."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._publish()

    def _arm(self) -> None:
        self.heartbeat = time.monotonic()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._interval, self._sample)

    def _sample(self) -> None:
        late = time.monotonic() - self.heartbeat - self._interval
        self._lag.observe(max(0.0, late))
        self._publish()
        self._arm()
