"""Metrics of HTTP requests: counted under the route's template, never the raw path."""

from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary

__all__ = ["HttpMetrics"]

METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}
)
"""Methods that are told apart; every other one is `other`, to bound the labels."""


@dataclass(frozen=True, slots=True)
class _Children:
    requests: Any
    duration: Any
    request_size: Any
    response_size: Any


class HttpMetrics:
    """
    Counts and times requests.

    Args:
        registry: Where the metrics are registered.
        buckets: Upper bounds of the latency histogram, in seconds.

    Concurrency:
        Any thread.
    """

    def __init__(self, registry: CollectorRegistry, *, buckets: list[float]) -> None:
        self._requests = Counter(
            "http_requests_total",
            "Requests that were answered.",
            ["method", "route", "status"],
            registry=registry,
        )
        self._duration = Histogram(
            "http_request_duration_seconds",
            "Seconds from the first filter to the sent answer.",
            ["method", "route", "status"],
            buckets=buckets,
            registry=registry,
        )
        self._in_flight = Gauge(
            "http_requests_in_flight",
            "Requests that are being answered.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._request_size = Summary(
            "http_request_size_bytes",
            "Announced bytes of request bodies.",
            ["method", "route"],
            registry=registry,
        )
        self._response_size = Summary(
            "http_response_size_bytes",
            "Sent bytes of response bodies.",
            ["method", "route"],
            registry=registry,
        )
        self._children: dict[tuple[str, str, int], _Children] = {}

    def begin(self) -> None:
        """Count a request that is in flight."""
        self._in_flight.inc()

    def end(
        self,
        *,
        method: str,
        route: str,
        status: int,
        duration: float,
        request_bytes: int,
        response_bytes: int,
    ) -> None:
        """
        Count a request that is answered.

        Args:
            method: Request method; an unknown one counts as `other`.
            route: Template of the route, or `unmatched`.
            status: Status that was sent.
            duration: Seconds.
            request_bytes: Announced bytes of the request's body.
            response_bytes: Sent bytes of the response's body.
        """
        self._in_flight.dec()
        children = self._children.get((method, route, status))
        if children is None:
            children = self._label(method, route, status)
        children.requests.inc()
        children.duration.observe(duration)
        children.request_size.observe(request_bytes)
        children.response_size.observe(response_bytes)

    def _label(self, method: str, route: str, status: int) -> _Children:
        known = method if method in METHODS else "other"
        children = _Children(
            requests=self._requests.labels(known, route, status),
            duration=self._duration.labels(known, route, status),
            request_size=self._request_size.labels(known, route),
            response_size=self._response_size.labels(known, route),
        )
        if known == method:
            self._children[method, route, status] = children
        return children
