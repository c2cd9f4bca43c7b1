"""Replicas added up, from what the service really exports."""

import pytest
from prometheus_client import CollectorRegistry, Gauge

from service.observability.metrics import Metrics
from service.observability.reading import read_exposition
from service.settings import MetricsSettings
from service.top.deltas import change_between
from service.top.overview import Order, Overview, RouteRow, overview, sorted_routes
from service.top.scrape import Scrape


class Replica:
    """A service's metrics, scraped before and after something."""

    def __init__(self) -> None:
        self.metrics = Metrics(MetricsSettings(), version="1.2.3")
        self.metrics.lifecycle.enter("ready")
        self.before = self.scrape(0.0)

    def scrape(self, at: float) -> Scrape:
        return Scrape(at, read_exposition(self.metrics.render("")[0].decode()))

    def answer(self, route: str, status: int = 200, *, seconds: float = 0.15) -> None:
        self.metrics.http.begin()
        self.metrics.http.end(
            method="GET",
            route=route,
            status=status,
            duration=seconds,
            request_bytes=0,
            response_bytes=1000,
        )

    def change(self, seconds: float = 2.0):
        return change_between(self.before, self.scrape(seconds))


def seen(*replicas: Replica) -> Overview:
    return overview([each.change() for each in replicas], clock=2e9)


def test_requests_of_all_replicas_are_one_service():
    """Rates, statuses, errors and in flight are sums; quantiles are of the whole."""
    one, other = Replica(), Replica()
    for _ in range(6):
        one.answer("/")
    one.answer("/", 503)
    other.answer("/", 404, seconds=1.95)
    other.metrics.http.begin()
    now = seen(one, other)

    assert now.rate == 4.0
    assert now.statuses == {"200": 3.0, "404": 0.5, "503": 0.5}
    assert now.errors == 0.125
    assert now.in_flight == 1
    [row] = now.routes
    assert (row.route, row.rate, row.errors) == ("/", 4.0, 0.125)
    assert row.bytes_rate == 4000
    assert row.p50 == pytest.approx(0.1 + 0.1 * 4 / 7)
    assert row.p99 == pytest.approx(1.992)


def test_versions_phases_and_process_are_told():
    """Each version once, each phase with its replicas, CPU and memory together."""
    replicas = [Replica(), Replica()]
    alone = seen(replicas[0])
    now = seen(*replicas)

    assert now.versions == ["1.2.3"]
    assert now.phases == {"ready": 2}
    assert now.resident_bytes == pytest.approx(2 * alone.resident_bytes, rel=0.1)
    assert now.cpu >= 0
    assert now.uptime > 0


def test_refusals_and_lag_are_told():
    """The throttle's refusals apart; the lag of the main loop, not the admin's."""
    replica = Replica()
    replica.metrics.loop_lag.labels("main").observe(0.002)
    replica.metrics.loop_lag.labels("admin").observe(9)
    refused = replica.metrics.overload
    refused.refused("in_flight", "normal")
    refused.refused("throttle", "normal")
    now = seen(replica)

    assert now.refusals["in_flight"] == now.throttled == 0.5
    assert "throttle" not in now.refusals
    assert 0.001 < now.loop_lag_p99 < 0.005


def test_service_that_tells_little_is_shown_as_far_as_it_goes():
    """Another program's metrics make no failure."""
    registry = CollectorRegistry()
    Gauge("x", "x", registry=registry).set(1)
    scrape = Scrape(1.0, read_exposition("# TYPE x gauge\nx 1\n"))
    now = overview([change_between(None, scrape)], clock=0.0)

    assert now == Overview()


def test_routes_are_sorted_by_what_is_asked():
    """Most first; who has no value goes last."""
    rows = [
        RouteRow(route="/a", rate=1, p99=3.0, errors=0.0),
        RouteRow(route="/b", rate=9, p99=1.0, errors=0.1),
        RouteRow(route="/c", rate=0),
    ]

    def names(order: Order) -> list[str]:
        return [each.route for each in sorted_routes(rows, order)]

    assert names(Order.RATE) == ["/b", "/a", "/c"]
    assert names(Order.P99) == ["/a", "/b", "/c"]
    assert names(Order.ERRORS) == ["/b", "/a", "/c"]


def test_buckets_without_a_bound_are_left_out():
    """Whoever tells such ones is shown as far as it goes."""
    text = (
        "# TYPE http_requests_total counter\n"
        'http_requests_total{route="/",status="200"} %d\n'
        "# TYPE http_request_duration_seconds histogram\n"
        'http_request_duration_seconds_bucket{route="/"} %d\n'
        'http_request_duration_seconds_bucket{route="/",le="x"} %d\n'
    )
    scrapes = [Scrape(at, read_exposition(text % (at, at, at))) for at in (1, 2)]
    now = overview([change_between(*scrapes)], clock=2e9)

    assert [(row.route, row.rate, row.p99) for row in now.routes] == [("/", 1, None)]
