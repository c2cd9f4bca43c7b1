"""
Metrics of HTTP requests: counted under the route's template, never the raw path.

They are taken at every request, so they are kept as plain numbers behind one lock, and
become metric families when somebody asks: the library's own types would take a lock and
a call for each of a request's nine numbers, and in a worker process a write to a file.
A worker publishes them when no request is in flight, and from time to time.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from threading import Lock

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    Exemplar,
    GaugeMetricFamily,
    HistogramMetricFamily,
    SummaryMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from service.observability.http_publisher import HttpPublisher
from service.observability.http_series import (
    DURATION,
    IN_FLIGHT,
    METHODS,
    REQUEST_SIZE,
    REQUESTS,
    RESPONSE_SIZE,
    STATUSES,
    Key,
    Series,
)

__all__ = ["HttpMetrics"]

Bucket = tuple[str, float] | tuple[str, float, Exemplar]
"""Bound, cumulative count and exemplar, if there is one."""


class HttpMetrics(Collector):
    """
    Counts and times requests.

    Args:
        registry: Where the metrics are registered.
        buckets: Upper bounds of the latency histogram, in seconds.
        publishes: Whether they go to the files that workers share.

    Concurrency:
        Any thread.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        buckets: Sequence[float],
        publishes: bool = False,
    ) -> None:
        self._bounds = [float(each) for each in buckets if each < math.inf]
        self._le = [*map(str, self._bounds), "+Inf"]
        self._lock = Lock()
        self._in_flight = 0
        self._series: dict[Key, Series] = {}
        self._found: dict[Key, Series] = {}
        self._publisher = HttpPublisher(self._le) if publishes else None
        self._publishing = Lock()
        registry.register(self)

    def begin(self) -> None:
        """Count a request that is in flight."""
        with self._lock:
            self._in_flight += 1

    def end(
        self,
        *,
        method: str,
        route: str,
        status: int,
        duration: float,
        request_bytes: int,
        response_bytes: int,
        exemplar: Mapping[str, str] | None = None,
    ) -> None:
        """
        Count a request that is answered.

        Args:
            method: Request method; an unknown one counts as `other`.
            route: Template of the route, or `unmatched`.
            status: Status that was sent; an unknown one counts as its class's x00.
            duration: Seconds.
            request_bytes: Announced bytes of the request's body.
            response_bytes: Sent bytes of the response's body.
            exemplar: Labels that lead to this one request, such as `trace_id`; left
                out when longer than the format allows.
        """
        bucket = bisect_left(self._bounds, duration)
        with self._lock:
            self._in_flight -= 1
            series = self._found.get((method, route, status))
            if series is None:
                series = self._find(method, route, status)
            series.counts[bucket] += 1
            series.seconds += duration
            series.request_bytes += request_bytes
            series.response_bytes += response_bytes
            series.changed = True
            if exemplar is not None:
                series.keep_exemplar(bucket, exemplar, duration)
        if self._publisher is not None and not self._in_flight:
            self.publish()

    def _find(self, method: str, route: str, status: int) -> Series:
        """Return the series of bounded labels; remember it unless anyone made it up."""
        known = method if method in METHODS else "other"
        code = status if status in STATUSES else status // 100 * 100
        key = (known, route, code)
        series = self._series.get(key)
        if series is None:
            series = Series([0] * len(self._le))
            self._series[key] = series
        if known == method:
            self._found[method, route, status] = series
        return series

    def latency_counts(self, route: str) -> dict[str, int]:
        """
        Return the requests of *route* in this process by bucket of their latency.

        Returns:
            Requests of each bucket alone, by its upper bound as `le` has it.
        """
        with self._lock:
            of_route = [s.counts for key, s in self._series.items() if key[1] == route]
            sums = [sum(column) for column in zip(*of_route, strict=True)]
        return dict(zip(self._le, sums or [0] * len(self._le), strict=True))

    def publish(self) -> None:
        """Bring what was counted since the last time to the worker's shared files."""
        if self._publisher is None:
            return
        with self._publishing:
            changed = {}
            with self._lock:
                in_flight = self._in_flight
                for key, series in self._series.items():
                    if series.changed:
                        series.changed = False
                        changed[key] = series.copy()
            self._publisher.publish(in_flight, changed)

    def describe(self) -> Iterator[Metric]:
        """Yield the families without values, for the registry."""
        yield from self._families(0, {})

    @override
    def collect(self) -> Iterator[Metric]:
        """Yield the families, all as of one moment."""
        with self._lock:
            in_flight = self._in_flight
            series = {key: each.copy() for key, each in self._series.items()}
        yield from self._families(in_flight, series)

    def _families(self, in_flight: int, all_series: dict[Key, Series]) -> list[Metric]:
        labels = ["method", "route", "status"]
        requests = CounterMetricFamily(*REQUESTS, labels=labels)
        duration = HistogramMetricFamily(*DURATION, labels=labels)
        received = SummaryMetricFamily(*REQUEST_SIZE, labels=labels[:2])
        sent = SummaryMetricFamily(*RESPONSE_SIZE, labels=labels[:2])
        sizes: dict[tuple[str, str], list[int]] = {}
        for (method, route, status), series in all_series.items():
            names = [method, route, str(status)]
            count = sum(series.counts)
            requests.add_metric(names, count)
            duration.add_metric(names, self._buckets(series), series.seconds)
            size = sizes.setdefault((method, route), [0, 0, 0])
            size[0] += count
            size[1] += series.request_bytes
            size[2] += series.response_bytes
        for pair, (count, request_bytes, response_bytes) in sizes.items():
            received.add_metric(pair, count, request_bytes)
            sent.add_metric(pair, count, response_bytes)
        now = GaugeMetricFamily(*IN_FLIGHT, value=in_flight)
        return [requests, duration, now, received, sent]

    def _buckets(self, series: Series) -> list[Bucket]:
        rows: list[Bucket] = []
        total = 0
        for at, le in enumerate(self._le):
            total += series.counts[at]
            exemplar = series.exemplars.get(at)
            rows.append((le, total) if exemplar is None else (le, total, exemplar))
        return rows
