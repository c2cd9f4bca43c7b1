"""The part that pushes: at its interval, once more at the end, whatever happens."""

import asyncio

import pytest
import structlog

from service.observability.metrics_push import MetricsPush


class Collector:
    """Takes families, or fails, as it is told."""

    def __init__(self):
        self.taken = []
        self.answer = True
        self.closed = False

    def __call__(self, families):
        self.taken.append(list(families))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def close(self):
        self.closed = True


@pytest.fixture
def collector():
    return Collector()


@pytest.fixture
def results():
    return []


def part(collector, results, *, interval=1000.0):
    return MetricsPush(
        lambda: iter(["family"]), collector, count=results.append, interval=interval
    )


async def test_metrics_are_pushed_at_the_interval(collector, results):
    """One push follows another."""
    push = part(collector, results, interval=0.001)
    await push.start()
    async with asyncio.timeout(30):
        while len(collector.taken) < 3:
            await asyncio.sleep(0.001)
    await push.stop()

    assert collector.taken[0] == ["family"]
    assert set(results) == {"success"}


async def test_stop_pushes_what_was_counted_last(collector, results):
    """The end waits for no interval."""
    push = part(collector, results)
    await push.start()

    await push.stop()

    assert len(collector.taken) == 1
    assert collector.closed


async def test_part_that_was_never_started_stops(collector, results):
    """A start that fails halfway stops every part."""
    await part(collector, results).stop()

    assert collector.taken == []
    assert collector.closed


@pytest.mark.parametrize("answer", [False, RuntimeError("no such host")], ids=str)
async def test_failure_is_told_once_until_a_push_succeeds(collector, results, answer):
    """A collector that is away for an hour is two lines, not hundreds."""
    push = part(collector, results)
    with structlog.testing.capture_logs() as lines:
        for each in (answer, answer, True, answer):
            collector.answer = each
            await push.push()

    assert results == ["failure", "failure", "success", "failure"]
    assert [line["event"] for line in lines] == [
        "metrics_push_failed",
        "metrics_push_recovered",
        "metrics_push_failed",
    ]
