"""
Metric families of Prometheus as data of OpenTelemetry, for those who are pushed to.

Everything is cumulative, as it is for a scrape, so a lost push loses nothing but
resolution. A counter `x_total` becomes the monotonic sum `x`, which a receiver turns
into `x_total` again; a histogram keeps its bounds and exemplars; a summary without
quantiles, which OpenTelemetry has no type for, is a histogram without bounds.

Source: OpenTelemetry specification, "Prometheus and OpenMetrics Compatibility".
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    Sum,
)
from prometheus_client.core import Exemplar as PrometheusExemplar
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.samples import Sample

__all__ = ["otlp_metrics"]

_UNITS = {"seconds": "s", "bytes": "By"}
"""Units by the end of a family's name (UCUM)."""

_Labels = tuple[tuple[str, str], ...]


def otlp_metrics(families: Iterable[Family], *, start: int, now: int) -> list[Metric]:
    """
    Return *families* as metrics of OpenTelemetry.

    Args:
        families: What a scrape would show.
        start: When counting began, in nanoseconds since the epoch.
        now: Time of the values, in nanoseconds since the epoch.
    """
    moment = _Moment(start, now)
    return [
        Metric(
            name=family.name,
            description=family.documentation,
            unit=_UNITS.get(family.name.rpartition("_")[2], ""),
            data=moment.data(family),
        )
        for family in families
        if family.samples
    ]


@dataclass(slots=True)
class _Distribution:
    """The samples of one histogram or summary, put together."""

    sum: float = 0.0
    count: int = 0
    buckets: list[tuple[float, int]] = field(default_factory=list)
    exemplars: list[Exemplar] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Moment:
    start: int
    now: int

    def data(self, family: Family) -> Sum | Gauge | Histogram:
        """Return the data points of *family*."""
        if family.type == "counter":
            points = [self._number(s) for s in family.samples if _counts(s)]
            return Sum(points, AggregationTemporality.CUMULATIVE, is_monotonic=True)
        if family.type in ("histogram", "summary"):
            found = _distributions(family)
            return Histogram(
                [self._distribution(labels, each) for labels, each in found.items()],
                AggregationTemporality.CUMULATIVE,
            )
        return Gauge([self._number(sample) for sample in family.samples])

    def _number(self, sample: Sample) -> NumberDataPoint:
        return NumberDataPoint(
            attributes=sample.labels,
            start_time_unix_nano=self.start,
            time_unix_nano=self.now,
            value=float(sample.value),  # never sometimes an integer
        )

    def _distribution(
        self, labels: _Labels, found: _Distribution
    ) -> HistogramDataPoint:
        totals = [0, *(count for _, count in found.buckets)]
        counts = [after - before for before, after in pairwise(totals)]
        return HistogramDataPoint(
            attributes=dict(labels),
            start_time_unix_nano=self.start,
            time_unix_nano=self.now,
            count=found.count,
            sum=found.sum,
            bucket_counts=counts or [found.count],
            explicit_bounds=[le for le, _ in found.buckets if le < math.inf],
            min=None,  # type: ignore[arg-type]  # optional in the protocol
            max=None,  # type: ignore[arg-type]  # as above
            exemplars=found.exemplars,
        )


def _counts(sample: Sample) -> bool:
    """Whether it is a counter's value, and not the time at which it began."""
    return not sample.name.endswith("_created")


def _distributions(family: Family) -> dict[_Labels, _Distribution]:
    found: dict[_Labels, _Distribution] = {}
    for sample in family.samples:
        labels = tuple((k, v) for k, v in sample.labels.items() if k != "le")
        each = found.setdefault(labels, _Distribution())
        kind = sample.name.removeprefix(family.name)
        if kind == "_bucket":
            each.buckets.append((float(sample.labels["le"]), int(sample.value)))
            if isinstance(sample.exemplar, PrometheusExemplar):
                each.exemplars += _exemplar(sample.exemplar)
        elif kind == "_count":
            each.count = int(sample.value)
        elif kind == "_sum":
            each.sum = sample.value
    return found


def _exemplar(exemplar: PrometheusExemplar) -> list[Exemplar]:
    """Return the exemplar, if it leads to a trace: the protocol keeps no other."""
    ids = exemplar.labels
    if "trace_id" not in ids or exemplar.timestamp is None:
        return []
    return [
        Exemplar(
            filtered_attributes={},
            value=exemplar.value,
            time_unix_nano=int(float(exemplar.timestamp) * 1e9),
            span_id=int(ids["span_id"], 16) if "span_id" in ids else None,
            trace_id=int(ids["trace_id"], 16),
        )
    ]
