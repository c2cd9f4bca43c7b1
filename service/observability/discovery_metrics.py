"""Services that are discovered, measured; registered only where some are."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge

__all__ = ["STATES", "DiscoveryMetrics"]

STATES = ("ready", "unready", "terminating")
"""What an endpoint may be."""

RESULTS = ("found", "none")
"""What may come of a pick."""


class DiscoveryMetrics:
    """
    Endpoints by service and state, how their sources do, picks and ejections.

    Args:
        registry: Where they are registered; nowhere that anybody sees without.

    Concurrency:
        Any thread.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        registry = registry or CollectorRegistry()
        self._endpoints = Gauge(
            "httpserver_discovery_endpoints",
            "Endpoints of a service, by state.",
            ["service", "state"],
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._heard = Gauge(
            "httpserver_discovery_heard_timestamp_seconds",
            "Time at which the source of a service was heard last; 0 when never.",
            ["service"],
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._changes = Counter(
            "httpserver_discovery_changes_total",
            "Times that the endpoints of a service changed.",
            ["service"],
            registry=registry,
        )
        self._errors = Counter(
            "httpserver_discovery_errors_total",
            "Times that the source of a service could not be heard.",
            ["service"],
            registry=registry,
        )
        self._picks = Counter(
            "httpserver_discovery_picks_total",
            "Endpoints that were picked for a call, or that there was none.",
            ["service", "result"],
            registry=registry,
        )
        self._ejections = Counter(
            "httpserver_discovery_ejections_total",
            "Times that an endpoint was left out because it kept failing.",
            ["service"],
            registry=registry,
        )

    def begin(self, service: str) -> None:
        """Show a service before anything is known of it."""
        for state in STATES:
            self._endpoints.labels(service, state).set(0)
        for result in RESULTS:
            self._picks.labels(service, result)
        self._heard.labels(service).set(0)
        for each in (self._changes, self._errors, self._ejections):
            each.labels(service)

    def counted(self, service: str, states: dict[str, int]) -> None:
        """Set how many endpoints a service has, by state."""
        for state in STATES:
            self._endpoints.labels(service, state).set(states.get(state, 0))

    def heard(self, service: str) -> None:
        """Note that the source was heard now."""
        self._heard.labels(service).set(time.time())

    def changed(self, service: str) -> None:
        """Count a change."""
        self._changes.labels(service).inc()

    def failed(self, service: str) -> None:
        """Count a failure of the source."""
        self._errors.labels(service).inc()

    def picked(self, service: str, *, found: bool) -> None:
        """Count a pick."""
        self._picks.labels(service, RESULTS[0] if found else RESULTS[1]).inc()

    def ejected(self, service: str) -> None:
        """Count an ejection."""
        self._ejections.labels(service).inc()
