"""
Metrics for those who can't scrape: pushed to an OpenTelemetry collector from time to
time.

What is pushed is what `/metrics` shows at that moment, sums over all workers included.
A push that fails is counted, and told once until one succeeds again: values are
cumulative, so the next one carries all that was missed.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Protocol

from prometheus_client.metrics_core import Metric as Family

from service.concurrency.future import Future
from service.observability.export_reasons import Reasons
from service.observability.logging import get_logger

__all__ = ["MetricsPush"]

LAST_PUSH = 2.0
"""Seconds that the last push may hold up the end of the process."""

GIVEN_UP = 0.5
"""Seconds that it may hold it up after it was given up."""


class Send(Protocol):
    """Takes families away; blocks."""

    def __call__(self, families: Iterable[Family]) -> bool:
        """Return whether they arrived."""

    def close(self) -> None:
        """End whatever is under way."""


class MetricsPush:
    """
    The part that pushes.

    Args:
        collect: Gives the families.
        send: Takes them away, in a thread of its own, one call at a time.
        count: Counts a push by its result, `success` or `failure`.
        interval: Seconds between two of them.

    Concurrency:
        Belongs to the main event loop.
    """

    name = "metrics_push"

    def __init__(
        self,
        collect: Callable[[], Iterable[Family]],
        send: Send,
        *,
        count: Callable[[str], None],
        interval: float,
    ) -> None:
        self._collect = collect
        self._send = send
        self._count = count
        self._interval = interval
        self._works = True
        self._reasons = Reasons()
        self._log = get_logger("httpserver.metrics")
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Push from now on."""
        self._reasons.listen()
        self._task = asyncio.create_task(self._run(), name=self.name)

    async def stop(self) -> None:
        """Push what was counted last, unless the collector is slow, and end."""
        if self._task is None:
            self._send.close()
            return
        self._stopping.set()
        await asyncio.wait([self._task], timeout=LAST_PUSH)
        self._send.close()
        await asyncio.wait([self._task], timeout=GIVEN_UP)
        await self._end(self._task)
        self._reasons.leave()

    async def push(self) -> None:
        """Push once; a failure is counted and told, never raised."""
        try:
            # not in the loop's own threads: it would wait for a slow collector
            reason = await Future.in_thread(self._push, name=self.name)
        except Exception as error:  # noqa: BLE001 - a collector must not stop a service
            reason = repr(error)
        self._tell(reason)

    def _push(self) -> str | None:
        """Push, and return why that failed, if it did."""
        with self._reasons.heard() as heard:
            if self._send(list(self._collect())):
                return None
        return heard[-1] if heard else "the collector did not take them"

    async def _end(self, task: asyncio.Task[None]) -> None:
        """End *task*; one that still pushes has lost what it pushed."""
        if not task.cancel():
            await task
            return
        await asyncio.wait([task])
        self._tell("the service stops")

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._interval)
            last = self._stopping.is_set()
            await self.push()
            if last:
                return

    def _tell(self, reason: str | None) -> None:
        """Count a push, and tell a failure when it is the first."""
        works = reason is None
        self._count("success" if works else "failure")
        if works and not self._works:
            self._log.info("metrics_push_recovered")
        elif not works and self._works:
            self._log.warning("metrics_push_failed", reason=reason)
        self._works = works
