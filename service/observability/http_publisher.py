"""The way of a worker's request metrics to the files that it shares with its parent."""

from collections.abc import Mapping, Sequence
from typing import Any

from service.observability.http_series import (
    DURATION,
    IN_FLIGHT,
    REQUEST_SIZE,
    REQUESTS,
    RESPONSE_SIZE,
    Key,
    Series,
)
from service.observability.worker_values import WorkerValues

__all__ = ["HttpPublisher"]


class HttpPublisher:
    """
    Writes what has been counted since the last time.

    Args:
        bounds: Values of the label `le`, rising, the last `+Inf`.

    Concurrency:
        One call at a time.
    """

    def __init__(self, bounds: Sequence[str]) -> None:
        self._bounds = bounds
        self._values = WorkerValues()
        self._published: dict[Key, _Published] = {}

    def publish(self, in_flight: int, changed: Mapping[Key, Series]) -> None:
        """
        Write the requests in flight, and what is new of *changed* series.

        Args:
            in_flight: Requests that are being answered.
            changed: Totals, by key.
        """
        self._values.value("gauge", IN_FLIGHT).set(in_flight)
        for key, series in changed.items():
            published = self._published.get(key)
            if published is None:
                published = _Published(self._values, key, self._bounds)
                self._published[key] = published
            published.update(series)


class _Published:
    """The values of one key, and how far they have got."""

    def __init__(self, values: WorkerValues, key: Key, bounds: Sequence[str]) -> None:
        def new(kind: str, metric: tuple[str, str], suffix: str, **labels: str) -> Any:
            return values.value(kind, metric, suffix=suffix, labels=labels)

        pair = {"method": key[0], "route": key[1]}
        labels = pair | {"status": str(key[2])}
        self._counts = [
            new("histogram", DURATION, "_bucket", **labels, le=bound)
            for bound in bounds
        ]
        self._seconds = new("histogram", DURATION, "_sum", **labels)
        self._requests = new("counter", REQUESTS, "_total", **labels)
        sizes = (REQUEST_SIZE, RESPONSE_SIZE)
        self._sizes = [new("summary", each, "_count", **pair) for each in sizes]
        self._request_bytes = new("summary", REQUEST_SIZE, "_sum", **pair)
        self._response_bytes = new("summary", RESPONSE_SIZE, "_sum", **pair)
        self._before = Series([0] * len(bounds))

    def update(self, now: Series) -> None:
        """Add what *now* has more than last time."""
        before, self._before = self._before, now
        requests = 0
        for at, count in enumerate(now.counts):
            new = count - before.counts[at]
            if new:
                requests += new
                self._counts[at].inc(new)
        self._seconds.inc(now.seconds - before.seconds)
        for value in (self._requests, *self._sizes):
            value.inc(requests)
        self._request_bytes.inc(now.request_bytes - before.request_bytes)
        self._response_bytes.inc(now.response_bytes - before.response_bytes)
