"""
A sample application: made-up work, measured by each of Prometheus' four metric types.

It shows what each type is for, and gives a fresh Prometheus something to draw.
"""

import asyncio
import random

from prometheus_client import Counter, Gauge, Histogram, Summary

from service.concurrency.cancelling import cancelled
from service.observability.metrics import Metrics

__all__ = ["SampleMetrics"]


class SampleMetrics:
    """
    Makes up work at intervals.

    Args:
        metrics: Where it is measured.
        interval: Seconds between two pieces of work.
        rng: Where the numbers come from.
    """

    name = "sample_metrics"

    def __init__(
        self,
        metrics: Metrics,
        *,
        interval: float = 2.0,
        rng: random.Random | None = None,
    ) -> None:
        self._interval = interval
        self._rng = rng or random.SystemRandom()
        self._task: asyncio.Task[None] | None = None
        registry = metrics.shared
        self._done = Counter(
            "httpserver_sample_jobs_total", "Made-up jobs done.", registry=registry
        )
        self._queue = Gauge(
            "httpserver_sample_queue_depth",
            "Made-up jobs that wait.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._duration = Histogram(
            "httpserver_sample_job_duration_seconds",
            "Made-up durations of jobs.",
            buckets=(0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
            registry=registry,
        )
        self._size = Summary(
            "httpserver_sample_job_size_bytes",
            "Made-up sizes of jobs.",
            registry=registry,
        )

    async def start(self) -> None:
        """Begin to work."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop working."""
        if self._task is not None:
            await cancelled([self._task])

    def work(self) -> None:
        """Make up one job and measure it."""
        self._done.inc()
        self._queue.set(self._rng.randint(0, 20))
        self._duration.observe(self._rng.lognormvariate(-0.7, 0.8))
        self._size.observe(self._rng.randint(100, 100_000))

    async def _run(self) -> None:
        while True:
            self.work()
            await asyncio.sleep(self._interval)
