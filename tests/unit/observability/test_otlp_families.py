"""Families become OpenTelemetry data that a receiver turns into the same families."""

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    Sum,
)
from prometheus_client import CollectorRegistry
from prometheus_client import Counter as PrometheusCounter
from prometheus_client import Gauge as PrometheusGauge
from prometheus_client import Histogram as PrometheusHistogram
from prometheus_client import Summary as PrometheusSummary

from service.observability.otlp_families import otlp_metrics

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def converted(registry):
    return {
        each.name: each for each in otlp_metrics(registry.collect(), start=1, now=2)
    }


def test_counter_becomes_a_monotonic_cumulative_sum():
    """The receiver adds `_total`; the time of creation is no series."""
    registry = CollectorRegistry()
    counter = PrometheusCounter("jobs_total", "Jobs.", ["kind"], registry=registry)
    counter.labels("a").inc(3)

    found = converted(registry)
    data = found["jobs"].data
    (point,) = data.data_points

    assert list(found) == ["jobs"]
    assert isinstance(data, Sum)
    assert data.is_monotonic
    assert data.aggregation_temporality is AggregationTemporality.CUMULATIVE
    assert (point.attributes, point.value) == ({"kind": "a"}, 3)
    assert (point.start_time_unix_nano, point.time_unix_nano) == (1, 2)


def test_gauge_stays_a_gauge():
    """A gauge has a value and a unit by its name."""
    registry = CollectorRegistry()
    PrometheusGauge("size_bytes", "Size.", registry=registry).set(7)

    metric = converted(registry)["size_bytes"]

    assert isinstance(metric.data, Gauge)
    assert metric.unit == "By"
    assert metric.description == "Size."
    assert [point.value for point in metric.data.data_points] == [7]


def test_histogram_keeps_bounds_counts_and_sum():
    """Cumulative buckets become counts of their own; each series is one point."""
    registry = CollectorRegistry()
    histogram = PrometheusHistogram(
        "wait_seconds", "Wait.", ["loop"], buckets=(0.1, 1.0), registry=registry
    )
    for seconds in (0.05, 0.5, 0.6, 5.0):
        histogram.labels("main").observe(seconds)
    histogram.labels("admin").observe(0.01)

    metric = converted(registry)["wait_seconds"]
    points = {point.attributes["loop"]: point for point in metric.data.data_points}

    assert isinstance(metric.data, Histogram)
    assert metric.unit == "s"
    assert points["main"].explicit_bounds == [0.1, 1.0]
    assert points["main"].bucket_counts == [1, 2, 1]
    assert (points["main"].count, points["main"].sum) == (4, 6.15)
    assert points["admin"].bucket_counts == [1, 0, 0]


def test_summary_becomes_a_histogram_without_bounds():
    """Count and sum are all that our summaries have."""
    registry = CollectorRegistry()
    PrometheusSummary("size_bytes", "Size.", registry=registry).observe(10)

    (point,) = converted(registry)["size_bytes"].data.data_points

    assert (point.count, point.sum) == (1, 10)
    assert (point.bucket_counts, point.explicit_bounds) == ([1], [])


def test_exemplar_leads_to_its_trace():
    """Only one with a trace id can be carried."""
    registry = CollectorRegistry()
    histogram = PrometheusHistogram(
        "wait_seconds", "Wait.", buckets=(0.1, 1.0), registry=registry
    )
    histogram.observe(0.05, {"trace_id": TRACE, "span_id": "00f067aa0ba902b7"})
    histogram.observe(0.5, {"user": "ann"})

    (point,) = converted(registry)["wait_seconds"].data.data_points
    (exemplar,) = point.exemplars

    assert exemplar.trace_id == int(TRACE, 16)
    assert exemplar.span_id == int("00f067aa0ba902b7", 16)
    assert exemplar.value == 0.05
