"""Metrics of connections: how many are open, and which the server itself ended."""

from prometheus_client import CollectorRegistry, Counter, Gauge

__all__ = ["CLOSINGS", "REFUSALS", "ConnectionMetrics", "ServerConnections"]


REFUSALS = (
    "bad_host",
    "bad_request",
    "bad_target",
    "bad_version",
    "body_timeout",
    "failed",
    "header_timeout",
    "headers_too_large",
    "target_too_long",
    "too_many_connections",
    "too_many_headers",
)
"""Why the listener refuses; each is exported from the start, at 0."""

CLOSINGS = ("idle_timeout", "silent", "write_timeout")
"""Why the server ends a connection."""


class ServerConnections:
    """
    Counts what happens to the connections of one server.

    Args:
        metrics: Where it is counted.
        server: Value of the label `server`.

    Concurrency:
        Any thread.
    """

    def __init__(self, metrics: "ConnectionMetrics", server: str) -> None:
        self._metrics = metrics
        self._server = server
        for reason in REFUSALS:
            metrics.refused.labels(server, reason)
        for reason in CLOSINGS:
            metrics.closed.labels(server, reason)
        self._open = metrics.open.labels(server)
        self._drained = metrics.drained.labels(server)

    def opened(self) -> None:
        """Count a connection that is open."""
        self._open.inc()

    def lost(self) -> None:
        """Count a connection that is gone."""
        self._open.dec()

    def refused(self, reason: str) -> None:
        """Count a request that the listener refused."""
        self._metrics.refused.labels(self._server, reason).inc()

    def closed(self, reason: str) -> None:
        """Count a connection that the server ended by itself."""
        self._metrics.closed.labels(self._server, reason).inc()

    def drained(self) -> None:
        """Count a request that came while draining."""
        self._drained.inc()


class ConnectionMetrics:
    """
    The metrics of all servers' connections.

    Args:
        registry: Where they are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.open = Gauge(
            "httpserver_connections",
            "Open connections.",
            ["server"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.refused = Counter(
            "httpserver_requests_refused_total",
            "Requests that the listener refused before any route was asked.",
            ["server", "reason"],
            registry=registry,
        )
        self.closed = Counter(
            "httpserver_connections_closed_total",
            "Connections that the server ended by itself.",
            ["server", "reason"],
            registry=registry,
        )
        self.drained = Counter(
            "httpserver_drain_requests_total",
            "Requests that still came while draining.",
            ["server"],
            registry=registry,
        )

    def of(self, server: str) -> ServerConnections:
        """Return what counts for *server*."""
        return ServerConnections(self, server)
