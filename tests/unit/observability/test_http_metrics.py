"""Requests are counted under bounded labels, at once and from any thread."""

import threading

import pytest
from prometheus_client import CollectorRegistry

from service.observability.http_metrics import HttpMetrics

BUCKETS = [0.1, 1.0]

REQUEST = {
    "method": "GET",
    "route": "/user/{name}",
    "status": 200,
    "duration": 0.5,
    "request_bytes": 3,
    "response_bytes": 17,
}


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def http(registry):
    return HttpMetrics(registry, buckets=BUCKETS)


def finish(http: HttpMetrics, **fields: object) -> None:
    http.begin()
    http.end(**REQUEST | fields)


def samples(registry, name: str) -> dict[tuple[str, ...], float]:
    """Values by their labels' values, in the order of the labels' names."""
    return {
        tuple(value for _, value in sorted(each.labels.items())): each.value
        for family in registry.collect()
        for each in family.samples
        if each.name == name
    }


def test_request_is_counted_timed_and_weighed(http, registry):
    """One call fills every metric of a request."""
    finish(http)

    labels = ("GET", "/user/{name}")
    assert samples(registry, "http_requests_total") == {(*labels, "200"): 1}
    assert samples(registry, "http_request_duration_seconds_sum") == {
        (*labels, "200"): 0.5
    }
    assert samples(registry, "http_request_size_bytes_sum") == {labels: 3}
    assert samples(registry, "http_response_size_bytes_sum") == {labels: 17}
    assert samples(registry, "http_response_size_bytes_count") == {labels: 1}


@pytest.mark.parametrize(
    ("duration", "counts"),
    [
        (0.0, [1, 1, 1]),
        (0.1, [1, 1, 1]),
        (0.1001, [0, 1, 1]),
        (1.0, [0, 1, 1]),
        (99.0, [0, 0, 1]),
    ],
)
def test_duration_on_a_bound_belongs_to_it(http, registry, duration, counts):
    """Bounds are inclusive (`le`) and counts are cumulative."""
    finish(http, duration=duration)

    found = samples(registry, "http_request_duration_seconds_bucket")
    by_bound = {le: value for (le, *_), value in found.items()}
    assert by_bound == dict(zip(["0.1", "1.0", "+Inf"], counts, strict=True))


def test_bound_without_end_is_not_doubled(registry):
    """Who writes +Inf into the settings gets it once."""
    finish(HttpMetrics(registry, buckets=[1, float("inf")]))

    found = samples(registry, "http_request_duration_seconds_bucket")
    assert [le for le, *_ in found] == ["1.0", "+Inf"]


def test_in_flight_counts_requests_that_have_begun(http, registry):
    """It rises with the begin and falls with the end."""
    http.begin()
    http.begin()
    assert registry.get_sample_value("http_requests_in_flight") == 2

    http.end(**REQUEST)

    assert registry.get_sample_value("http_requests_in_flight") == 1


@pytest.mark.parametrize("method", ["BREW", "get", "", "A" * 1000])
def test_made_up_method_counts_as_other(http, registry, method):
    """Clients can't make series."""
    finish(http, method=method)

    (labels,) = samples(registry, "http_requests_total")
    assert labels[0] == "other"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (200, "200"),
        (418, "418"),
        (499, "499"),
        (299, "200"),
        (477, "400"),
        (599, "500"),
    ],
)
def test_unregistered_status_counts_as_its_class(http, registry, status, code):
    """A route that answers what it is asked to can't make 500 series (RFC 9110 §15)."""
    finish(http, status=status)
    finish(http, status=status)

    assert samples(registry, "http_requests_total") == {
        ("GET", "/user/{name}", code): 2
    }


def test_made_up_methods_are_not_remembered(http):
    """They don't fill the memory either."""
    for number in range(1000):
        finish(http, method=f"M{number}")

    assert len(http._found) + len(http._series) == 1


def test_sizes_are_those_of_all_statuses(http, registry):
    """The size of a route's answers is one number, whatever they said."""
    finish(http, status=200)
    finish(http, status=404)

    assert samples(registry, "http_response_size_bytes_sum") == {
        ("GET", "/user/{name}"): 34
    }


def test_nothing_is_lost_between_threads(http, registry):
    """Counts of several threads add up."""

    def work():
        for _ in range(2000):
            finish(http)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert list(samples(registry, "http_requests_total").values()) == [8000]
    assert registry.get_sample_value("http_requests_in_flight") == 0


def exemplars(registry) -> list[tuple[str, dict[str, str]]]:
    return [
        (each.labels["le"], each.exemplar.labels)
        for family in registry.collect()
        for each in family.samples
        if each.exemplar
    ]


def test_exemplar_is_kept_with_its_bucket(http, registry):
    """The last request of each bucket that came with one can be looked up."""
    finish(http, exemplar={"trace_id": "first"})
    finish(http, exemplar={"trace_id": "second"})
    finish(http)

    assert exemplars(registry) == [("1.0", {"trace_id": "second"})]


def test_exemplar_that_is_too_long_is_left_out(http, registry):
    """A scrape in OpenMetrics would fail over it."""
    finish(http, exemplar={"trace_id": "x" * 121})

    assert exemplars(registry) == []
    assert len(samples(registry, "http_requests_total")) == 1


def test_publishing_without_workers_does_nothing(http, registry):
    """One process needs no files."""
    finish(http)

    http.publish()

    assert list(samples(registry, "http_requests_total").values()) == [1]
