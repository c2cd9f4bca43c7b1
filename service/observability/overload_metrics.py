"""What is refused to protect the service, and how much it lets in."""

from prometheus_client import CollectorRegistry, Counter, Gauge

__all__ = ["OverloadMetrics"]

REASONS = ("in_flight", "delay", "bulkhead", "throttle")
PRIORITIES = ("low", "normal", "high")


class OverloadMetrics:
    """
    Load shedding, bulkheads and the throttle, measured.

    Args:
        registry: Where they are registered.

    Attributes:
        limit: Most requests in flight that are let in now.
        clients: Clients that the throttle remembers.
        store_errors: Outages and failures of the store that replicas share.

    Concurrency:
        Any thread.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        refused = Counter(
            "httpserver_overload_refusals_total",
            "Requests that were refused to protect the service.",
            ["reason", "priority"],
            registry=registry,
        )
        self._refused = {
            (reason, priority): refused.labels(reason, priority)
            for reason in REASONS
            for priority in PRIORITIES
        }
        self.limit = Gauge(
            "httpserver_in_flight_limit",
            "Most requests in flight that are let in now.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.clients = Gauge(
            "httpserver_throttle_clients",
            "Clients that the throttle of this process remembers.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.store_errors = Counter(
            "httpserver_throttle_store_errors_total",
            "Calls of the shared throttle store that failed or took too long.",
            registry=registry,
        )

    def refused(self, reason: str, priority: str) -> None:
        """
        Count a request that was refused.

        Args:
            reason: `in_flight`, `delay`, `bulkhead` or `throttle`.
            priority: Priority of its route: `low`, `normal` or `high`.
        """
        self._refused[reason, priority].inc()
