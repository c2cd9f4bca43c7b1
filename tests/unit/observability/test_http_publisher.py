"""A worker's requests reach its shared files once each, soon, and not one by one."""

import pytest
from prometheus_client import CollectorRegistry

from service.observability.http_metrics import HttpMetrics
from service.observability.http_series import (
    DURATION,
    IN_FLIGHT,
    REQUESTS,
    RESPONSE_SIZE,
)
from service.observability.metrics import Metrics
from service.settings import MetricsSettings

REQUEST = {
    "method": "GET",
    "route": "/",
    "status": 200,
    "duration": 0.5,
    "request_bytes": 3,
    "response_bytes": 17,
}
PAIR = {"method": "GET", "route": "/"}
LABELS = PAIR | {"status": "200"}


@pytest.fixture
def http():
    return HttpMetrics(CollectorRegistry(), buckets=[0.1, 1.0], publishes=True)


def published(http: HttpMetrics, kind, metric, suffix="", labels=None) -> float:
    values = http._publisher._values
    return values.value(kind, metric, suffix=suffix, labels=labels or {}).get()


def requests(http: HttpMetrics) -> float:
    return published(http, "counter", REQUESTS, "_total", LABELS)


def test_last_request_in_flight_brings_all_counts(http):
    """While requests overlap nothing is written; then everything is."""
    http.begin()
    http.begin()
    http.end(**REQUEST)
    assert requests(http) == 0

    http.end(**REQUEST)

    assert requests(http) == 2
    assert published(http, "gauge", IN_FLIGHT) == 0


def test_published_from_time_to_time_under_load(http):
    """A request that never ends holds no counts back."""
    http.begin()
    http.begin()
    http.end(**REQUEST)

    http.publish()

    assert requests(http) == 1
    assert published(http, "gauge", IN_FLIGHT) == 1


def test_nothing_is_published_twice(http):
    """Only what is new is added."""
    http.begin()
    http.end(**REQUEST)
    http.publish()
    http.publish()
    http.begin()
    http.end(**REQUEST)

    assert requests(http) == 2
    assert published(http, "histogram", DURATION, "_sum", LABELS) == 1.0


def test_buckets_hold_their_own_requests_alone(http):
    """In the files a bucket is not cumulative: the merge adds them up."""
    for duration in (0.05, 0.5, 0.7, 5.0):
        http.begin()
        http.end(**REQUEST | {"duration": duration})

    counts = [
        published(http, "histogram", DURATION, "_bucket", LABELS | {"le": le})
        for le in ("0.1", "1.0", "+Inf")
    ]
    assert counts == [1, 2, 1]


def test_sizes_of_several_statuses_meet_in_one_value(http):
    """They have no status."""
    for status in (200, 404):
        http.begin()
        http.end(**REQUEST | {"status": status})

    assert published(http, "summary", RESPONSE_SIZE, "_count", PAIR) == 2
    assert published(http, "summary", RESPONSE_SIZE, "_sum", PAIR) == 34


def test_parent_without_workers_yet_can_be_scraped(tmp_path):
    """Its own families are there before the first worker is."""
    metrics = Metrics(MetricsSettings(), version="1", multiprocess_dir=tmp_path)
    metrics.publish()

    body, _ = metrics.render("")

    assert b"httpserver_build_info" in body
    assert b"process_resident_memory_bytes" in body
