"""The sample application fills the four metric types."""

import asyncio
import random

import pytest

from service.observability.metrics import Metrics
from service.observability.sample_metrics import SampleMetrics
from service.settings import MetricsSettings


@pytest.fixture
def metrics():
    return Metrics(MetricsSettings(), version="1")


def value(metrics: Metrics, name: str) -> float | None:
    return metrics.registry.get_sample_value(f"httpserver_sample_{name}")


def test_one_job_fills_all_four_types(metrics):
    """Counter, gauge, histogram and summary tell of the same job."""
    SampleMetrics(metrics, rng=random.Random(1)).work()

    assert value(metrics, "jobs_total") == 1
    assert 0 <= value(metrics, "queue_depth") <= 20
    assert value(metrics, "job_duration_seconds_count") == 1
    assert value(metrics, "job_size_bytes_count") == 1
    assert 100 <= value(metrics, "job_size_bytes_sum") <= 100_000


def test_same_seed_makes_the_same_work():
    """The numbers are made up by the generator that is given."""
    sums = []
    for _ in range(2):
        metrics = Metrics(MetricsSettings(), version="1")
        sample = SampleMetrics(metrics, rng=random.Random(7))
        for _ in range(10):
            sample.work()
        sums.append(value(metrics, "job_duration_seconds_sum"))

    assert sums[0] == sums[1]


async def test_it_works_until_it_is_stopped(metrics):
    """Jobs come at intervals; the stop ends them."""
    sample = SampleMetrics(metrics, interval=0.001)
    await sample.start()
    async with asyncio.timeout(30):
        while value(metrics, "jobs_total") < 3:
            await asyncio.sleep(0.001)
    await sample.stop()
    done = value(metrics, "jobs_total")

    await asyncio.sleep(0.02)

    assert value(metrics, "jobs_total") == done


async def test_stop_twice_or_before_the_start_is_no_error(metrics):
    """A part may be stopped whatever happened before."""
    sample = SampleMetrics(metrics, interval=60)
    await sample.stop()
    await sample.start()
    await sample.stop()
    await sample.stop()
