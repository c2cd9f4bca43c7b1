"""Any order of requests gives counts that agree with each other."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from service.observability.http_metrics import HttpMetrics

BOUNDS = [0.1, 0.5, 2.0]

ANSWERS = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "POST", "BREW", "get"]),
        "route": st.sampled_from(["/", "/user/{name}", "unmatched"]),
        "status": st.sampled_from([200, 404, 499, 500]),
        "duration": st.sampled_from([0.0, 0.1, 0.100001, 0.5, 1.0, 2.0, 60.0]),
        "request_bytes": st.integers(0, 10_000),
        "response_bytes": st.integers(0, 10_000),
    }
)

EVENTS = st.lists(st.none() | ANSWERS, max_size=30)
"""None begins a request; an answer ends one, if one is there."""


def play(http: HttpMetrics, events) -> tuple[int, list]:
    """Let the requests happen; return how many are open, and the answers."""
    in_flight, answers = 0, []
    for event in events:
        if event is None:
            http.begin()
            in_flight += 1
        elif in_flight:
            http.end(**event)
            in_flight -= 1
            answers.append(event)
    return in_flight, answers


def label(method: str) -> str:
    return method if method in ("GET", "POST") else "other"


@given(EVENTS)
def test_counts_agree_with_what_happened(events):
    """Requests, latencies, sizes and those in flight tell one story."""
    registry = CollectorRegistry()
    in_flight, answers = play(HttpMetrics(registry, buckets=BOUNDS), events)
    value = registry.get_sample_value

    assert value("http_requests_in_flight") == in_flight
    by_status = Counter((label(a["method"]), a["route"], a["status"]) for a in answers)
    for (method, route, status), count in by_status.items():
        labels = {"method": method, "route": route, "status": str(status)}
        mine = [
            a["duration"]
            for a in answers
            if (label(a["method"]), a["route"], a["status"]) == (method, route, status)
        ]
        assert value("http_requests_total", labels) == count
        assert value("http_request_duration_seconds_count", labels) == count
        assert value("http_request_duration_seconds_sum", labels) == sum(mine)
        for bound in (*BOUNDS, float("inf")):
            le = "+Inf" if bound == float("inf") else str(bound)
            found = value("http_request_duration_seconds_bucket", labels | {"le": le})
            assert found == sum(duration <= bound for duration in mine)


@given(EVENTS)
def test_sizes_are_summed_over_statuses(events):
    """A route's sizes are those of all of its answers."""
    registry = CollectorRegistry()
    _, answers = play(HttpMetrics(registry, buckets=BOUNDS), events)
    value = registry.get_sample_value

    for method, route in {(label(a["method"]), a["route"]) for a in answers}:
        labels = {"method": method, "route": route}
        mine = [
            a for a in answers if (label(a["method"]), a["route"]) == (method, route)
        ]
        for side in ("request", "response"):
            name = f"http_{side}_size_bytes"
            assert value(f"{name}_count", labels) == len(mine)
            assert value(f"{name}_sum", labels) == sum(
                answer[f"{side}_bytes"] for answer in mine
            )


@given(EVENTS)
def test_series_are_bounded(events):
    """Made-up methods make no series of their own."""
    registry = CollectorRegistry()
    play(HttpMetrics(registry, buckets=BOUNDS), events)

    methods = {
        sample.labels["method"]
        for family in registry.collect()
        for sample in family.samples
        if "method" in sample.labels
    }
    assert methods <= {"GET", "POST", "other"}
