"""The reverse proxy, measured; registered only where it is switched on."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["ProxyMetrics", "RouteMetrics"]

CLASSES = ("2xx", "3xx", "4xx", "5xx", "failed")
"""Classes of an upstream's answers; `failed` for none."""

REASONS = (
    "refused",
    "certificate",
    "forbidden_address",
    "cut",
    "bad_answer",
    "unwell",
    "connect_timeout",
    "head_timeout",
    "idle_timeout",
    "total_timeout",
    "open",
    "no_endpoint",
    "unknown_service",
    "busy",
    "client_left",
)
"""Why an attempt brings no answer."""

STATES = ("closed", "half_open", "open")
"""States of a breaker."""

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds."""


class ProxyMetrics:
    """
    Requests by route and upstream, and what upstreams did with them.

    Args:
        registry: Where they are registered.

    Concurrency:
        Any thread.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "httpserver_proxy_requests_total",
            "Proxied requests, by the class of the upstream's answer.",
            ["route", "upstream", "result"],
            registry=registry,
        )
        self.failures = Counter(
            "httpserver_proxy_failures_total",
            "Attempts that brought no answer, by reason.",
            ["upstream", "reason"],
            registry=registry,
        )
        self.retries = Counter(
            "httpserver_proxy_retries_total",
            "Attempts that were made again.",
            ["upstream"],
            registry=registry,
        )
        self.duration = Histogram(
            "httpserver_proxy_upstream_duration_seconds",
            "Time from the sent request to the head of the upstream's answer.",
            ["upstream"],
            buckets=BUCKETS,
            registry=registry,
        )
        self.connections = Counter(
            "httpserver_proxy_connections_total",
            "Connections to upstreams that were taken, new ones and used ones.",
            ["upstream", "reused"],
            registry=registry,
        )
        self.bytes = Counter(
            "httpserver_proxy_bytes_total",
            "Bytes of bodies that were passed on, by direction.",
            ["upstream", "direction"],
            registry=registry,
        )
        self.tunnels = Gauge(
            "httpserver_proxy_tunnels",
            "Upgraded connections that are open, such as WebSockets.",
            ["upstream"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.breaker = Gauge(
            "httpserver_proxy_breaker_state",
            "1 for the state that the breaker of an upstream is in.",
            ["upstream", "state"],
            registry=registry,
            multiprocess_mode="livesum",
        )

    def entered(self, upstream: str, state: str) -> None:
        """Note the state that a breaker is in now."""
        for each in STATES:
            self.breaker.labels(upstream, each).set(each == state)

    def forget(self, upstreams: Iterable[str]) -> None:
        """Leave out the breakers of upstreams that are gone."""
        for upstream in upstreams:
            for each in STATES:
                self.breaker.remove(upstream, each)


class RouteMetrics:
    """
    What one route counts, looked up once.

    Args:
        metrics: Those of the proxy.
        route: Template of the route.
        upstream: Name of its upstream.
    """

    def __init__(self, metrics: ProxyMetrics, *, route: str, upstream: str) -> None:
        results = {
            each: metrics.requests.labels(route, upstream, each) for each in CLASSES
        }
        self._results = results
        self._by_status = {n: results[f"{n}xx"] for n in range(2, 6)}
        self.observe = metrics.duration.labels(upstream).observe
        self.sent = metrics.bytes.labels(upstream, "request").inc
        self.received = metrics.bytes.labels(upstream, "response").inc
        self.retried = metrics.retries.labels(upstream).inc
        self.tunnels = metrics.tunnels.labels(upstream)
        self._failures = {
            each: metrics.failures.labels(upstream, each) for each in REASONS
        }

    def answered(self, status: int) -> None:
        """Count an answer; one that switches protocols with the successes."""
        self._by_status.get(status // 100, self._by_status[2]).inc()

    def failed(self) -> None:
        """Count a request that got no answer from its upstream."""
        self._results["failed"].inc()

    def attempt_failed(self, reason: str) -> None:
        """Count an attempt that brought no answer."""
        self._failures[reason].inc()
