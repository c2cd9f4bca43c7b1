"""
The part that samples the log: it puts the sampler at the log's end, counts what was
left out, and writes the line that ends a flood.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from structlog.contextvars import get_contextvars

from service.observability.log_lines import arranged, timestamp
from service.observability.log_metrics import LogMetrics
from service.observability.log_sampler import SECOND, Flood, Sampler
from service.observability.logging import line_handler
from service.settings import SamplingSettings

__all__ = ["LogSampling"]

_DETAILS = ("method", "route", "status_class")
"""What the key of an access line has besides level, logger and event."""

_NO_ROOM = ("httpserver.log", "others")
"""Logger and event of the lines that had no key of their own, because of too many."""

_OFF = SamplingSettings(first=0)


class LogSampling:
    """
    Samples the lines of the handler that `logging.configure` installed.

    What is bound to the log where it is made, such as the number of a worker, is on
    each line that ends a flood.

    Args:
        settings: How many lines are written, of which levels.
        metrics: What counts the others.
        clock: Seconds, monotonic.
    """

    name = "log_sampling"

    def __init__(
        self,
        settings: SamplingSettings,
        metrics: LogMetrics,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._sampler = Sampler(settings, clock=clock)
        self._bound = arranged({}, get_contextvars())
        self._timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Begin to sample, where the settings want it."""
        self._attach(sampled=self._settings.first > 0)
        self._arm()

    async def stop(self) -> None:
        """Sample no more; what was left out is told and counted."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._attach(sampled=False)
        self._sampler.adapt(_OFF)  # for a thread that is just about to ask
        self.look(all_of_them=True)

    def adapt(self, settings: SamplingSettings) -> None:
        """
        Follow other settings, from any thread.

        Args:
            settings: How many lines are written, of which levels.
        """
        self._settings = settings
        self._sampler.adapt(settings)
        if self._timer is not None:
            self._attach(sampled=settings.first > 0)

    def look(self, *, all_of_them: bool = False) -> None:
        """
        Write the lines of floods that have ended, and count what was left out.

        Args:
            all_of_them: Those that go on too.
        """
        handler = line_handler()
        for flood in self._sampler.ended(all_of_them=all_of_them):
            if handler is not None:
                handler.tell(self._summary(flood))
        self._metrics.dropped(self._sampler.take_left_out())

    def _attach(self, *, sampled: bool) -> None:
        handler = line_handler()
        if handler is not None:
            handler.sampler = self._sampler if sampled else None

    def _arm(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(SECOND, self._tick)

    def _tick(self) -> None:
        self.look()
        self._arm()

    def _summary(self, flood: Flood) -> dict[str, Any]:
        """Return the line that ends a flood: of its level and logger, as it was."""
        known = flood.key if len(flood.key) > 1 else (*flood.key, *_NO_ROOM)
        level, logger, event, *details = known
        lead = {
            "timestamp": timestamp(time.time()),
            "level": level,
            "logger": logger,
            "event": "lines_dropped",
        }
        fields = {"of": event, **dict(zip(_DETAILS, details, strict=False))}
        return arranged(lead, self._bound | fields | {"dropped": flood.dropped})
