"""How long a route takes: since the start, in the last minute, of all workers."""

import json

import pytest

from service.observability.metrics import Metrics
from service.observability.route_latency import FRESH, RouteLatency
from service.observability.worker_values import bucket_counts
from service.settings import MetricsSettings

INF = float("inf")


class Bench:
    """Counts and a clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.asked = 0
        self.counts = {0.1: 0, 1.0: 0, INF: 0}
        self.latency = RouteLatency(self._count, clock=lambda: self.now)

    def _count(self):
        self.asked += 1
        return dict(self.counts)

    def pass_by(self, seconds):
        """Let time pass with a look every five seconds."""
        for _ in range(int(seconds // 5)):
            self.now += 5
            self.latency.look()
        self.now += seconds % 5


def test_nothing_counted_has_no_quantiles():
    """A new service tells zeros and nulls."""
    told = Bench().latency.snapshot()

    assert told["bounds"] == [0.1, 1.0]
    assert told["since_start"] == {
        "count": 0,
        "counts": [0, 0, 0],
        "p50": None,
        "p90": None,
        "p99": None,
    }
    assert told["last_minute"] == {"seconds": 0.0, **told["since_start"]}


def test_last_minute_forgets_and_the_start_does_not():
    """After a minute what was counted before is in one of the two alone."""
    bench = Bench()
    bench.latency.look()
    bench.counts[0.1] += 10
    bench.pass_by(67)
    bench.counts[1.0] += 4
    bench.now += FRESH
    told = bench.latency.snapshot()

    assert told["since_start"]["counts"] == [10, 4, 0]
    assert told["last_minute"]["counts"] == [0, 4, 0]
    assert told["last_minute"]["p50"] == pytest.approx(0.55)
    assert 60 <= told["last_minute"]["seconds"] <= 65 + FRESH


def test_last_minute_is_shorter_after_the_start():
    """The seconds say how long it is, so that a rate can be told."""
    bench = Bench()
    bench.latency.look()
    bench.pass_by(10)
    bench.counts[INF] += 3
    bench.now += 1
    told = bench.latency.snapshot()["last_minute"]

    assert (told["seconds"], told["count"], told["p99"]) == (11.0, 3, 1.0)


def test_counts_are_added_up_a_few_times_a_second_at_most():
    """However often it is asked."""
    bench = Bench()
    for _ in range(50):
        bench.latency.snapshot()
    bench.now += FRESH
    bench.latency.snapshot()

    assert bench.asked == 2


def test_answer_is_json():
    """No bound is infinite, no quantile is not a number."""
    bench = Bench()
    bench.counts[INF] += 1

    assert "Infinity" not in json.dumps(bench.latency.snapshot(), allow_nan=False)


async def test_part_looks_from_start_to_stop():
    """Started with the service, it knows the counts of then."""
    bench = Bench()
    await bench.latency.start()
    bench.counts[0.1] += 2
    bench.now += 30
    told = bench.latency.snapshot()["last_minute"]
    await bench.latency.stop()

    assert (told["seconds"], told["count"]) == (30.0, 2)


def counted(metrics, route, *seconds):
    for each in seconds:
        metrics.http.begin()
        metrics.http.end(
            method="GET",
            route=route,
            status=200,
            duration=each,
            request_bytes=0,
            response_bytes=0,
        )


def test_counts_are_those_of_one_route():
    """Each bucket alone, all methods and statuses together."""
    metrics = Metrics(MetricsSettings(buckets=[0.1, 1]), version="1")
    empty = metrics.latency_counts("/")
    counted(metrics, "/", 0.05, 0.1, 0.5, 9)
    counted(metrics, "/other", 0.5)

    assert empty == {0.1: 0, 1.0: 0, INF: 0}
    assert metrics.latency_counts("/") == {0.1: 2, 1.0: 1, INF: 1}


def test_file_of_a_worker_that_is_just_made_counts_nothing(tmp_path):
    """Half a file is no failure."""
    (tmp_path / "histogram_1.db").write_bytes(b"\x00")

    assert bucket_counts(tmp_path, "http_request_duration_seconds", {}) == {}
