"""Calls of other services, measured; registered where somebody makes one."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["ClientMetrics"]

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0)
"""Upper bounds in seconds; the default time-out ends a call after 15."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

STATES = ("closed", "open", "half_open")
"""What a breaker does with calls."""

MOST_SERVICES = 100
"""Upstreams with series of their own; all others share `other`."""


class ClientMetrics:
    """
    Calls by upstream, how long they take, and what the patterns around them do.

    Args:
        registry: Where they are registered.

    Attributes:
        retries: Failures that could be repeated, by upstream and what came of it.
        hedges: Second requests for a late answer, by upstream and what came of it.

    Concurrency:
        Any thread.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._names: set[str] = set()
        self._requests = Counter(
            "httpserver_client_requests_total",
            "Calls of other services, by their last answer, or why there was none.",
            ["service", "method", "status"],
            registry=registry,
        )
        self._duration = Histogram(
            "httpserver_client_request_duration_seconds",
            "How long calls of other services took, all attempts together.",
            ["service"],
            buckets=BUCKETS,
            registry=registry,
        )
        self._in_flight = Gauge(
            "httpserver_client_requests_in_flight",
            "Calls of other services under way.",
            ["service"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.retries = Counter(
            "httpserver_client_retries_total",
            "Failures of calls that could be repeated, by what came of it.",
            ["service", "result"],
            registry=registry,
        )
        self.hedges = Counter(
            "httpserver_client_hedges_total",
            "Second requests for an answer that was late, by what came of them.",
            ["service", "result"],
            registry=registry,
        )
        self._state = Gauge(
            "httpserver_client_breaker_state",
            "Processes whose breaker of the upstream is in the state.",
            ["service", "state"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._transitions = Counter(
            "httpserver_client_breaker_transitions_total",
            "States that breakers have entered.",
            ["service", "state"],
            registry=registry,
        )

    def label(self, service: str) -> str:
        """Return *service*, or `other` when there are too many."""
        if service not in self._names:
            if len(self._names) >= MOST_SERVICES:
                return "other"
            self._names.add(service)
        return service

    def began(self, service: str) -> None:
        """Count a call that is under way."""
        self._in_flight.labels(self.label(service)).inc()

    def left(self, service: str) -> None:
        """Count it no more."""
        self._in_flight.labels(self.label(service)).dec()

    def ended(self, service: str, method: str, status: str, seconds: float) -> None:
        """
        Count what came of a call.

        Args:
            service: Name of the upstream.
            method: Method of the call.
            status: Status of its answer, or a word for why there was none.
            seconds: How long it took.
        """
        label = self.label(service)
        known = method if method in METHODS else "other"
        self._requests.labels(label, known, status).inc()
        self._duration.labels(label).observe(seconds)

    def breaker(self, service: str, state: str, *, entered: bool = True) -> None:
        """
        Tell in which state a breaker is.

        Args:
            service: Name of the upstream.
            state: `closed`, `open` or `half_open`.
            entered: Whether it has just entered it.
        """
        label = self.label(service)
        if label == "other":
            return  # the state of one would stand for all
        for each in STATES:
            self._state.labels(label, each).set(each == state)
        if entered:
            self._transitions.labels(label, state).inc()
