"""A blocked loop shows, and a live one keeps its heartbeat."""

import asyncio
import time

import pytest

from service.observability.loop_lag import LoopLag
from service.observability.metrics import Metrics
from service.settings import MetricsSettings

NAME = "httpserver_event_loop_lag_seconds"


@pytest.fixture
def metrics():
    return Metrics(MetricsSettings(), version="1")


def value(metrics: Metrics, suffix: str, **labels: str) -> float:
    found = metrics.registry.get_sample_value(NAME + suffix, {"loop": "test", **labels})
    assert found is not None
    return found


async def samples(metrics: Metrics, count: int) -> None:
    async with asyncio.timeout(30):
        while value(metrics, "_count") < count:
            await asyncio.sleep(0.001)


async def test_idle_loop_is_sampled(metrics):
    """Samples and heartbeats come at the interval."""
    lag = LoopLag(metrics, loop="test", interval=0.01)
    await lag.start()
    first = lag.heartbeat

    await samples(metrics, 3)
    await lag.stop()

    assert lag.heartbeat >= first + 0.03
    assert value(metrics, "_sum") >= 0


async def test_blocked_loop_is_late_by_the_time_it_was_blocked(metrics):
    """Blocking for 0.3 s is seen as a lag of about that."""
    lag = LoopLag(metrics, loop="test", interval=0.01)
    await lag.start()
    time.sleep(0.3)

    await samples(metrics, 1)
    await lag.stop()

    assert value(metrics, "_bucket", le="0.25") < value(metrics, "_count")


async def test_stop_ends_the_samples(metrics):
    """Nothing is scheduled any more; a second stop is no error."""
    lag = LoopLag(metrics, loop="test", interval=0.01)
    await lag.start()
    await lag.stop()
    await lag.stop()
    count = value(metrics, "_count")

    await asyncio.sleep(0.05)

    assert value(metrics, "_count") == count


async def test_stop_before_the_start_is_no_error(metrics):
    """A start that failed elsewhere may stop every part."""
    await LoopLag(metrics, loop="test").stop()


class CountedMetrics(Metrics):
    published = 0

    def publish(self):
        self.published += 1


async def test_metrics_are_published_at_start_sample_and_stop():
    """A worker's counts reach its parent without a request."""
    metrics = CountedMetrics(MetricsSettings(), version="1")
    lag = LoopLag(metrics, loop="test", interval=0.01)
    await lag.start()
    at_start = metrics.published

    await samples(metrics, 1)
    sampled = metrics.published
    await lag.stop()

    assert at_start == 1
    assert sampled >= 2
    assert metrics.published == sampled + 1
