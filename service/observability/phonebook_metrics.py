"""What the phone book's store does, measured; registered only where it is on."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["PhonebookMetrics"]

OPERATIONS = ("find", "get", "add", "add_all", "replace", "delete", "count")

RESULTS = (
    "done",
    "replayed",
    "not_found",
    "duplicate",
    "conflict",
    "other_request",
    "unavailable",
    "failed",
)
"""What an operation may come to."""

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
"""Upper bounds in seconds; the default time-out ends an operation after 5."""


class PhonebookMetrics:
    """
    Operations of the store.

    Args:
        registry: Where they are registered.

    Attributes:
        connections: Connections to the database that are at work.

    Concurrency:
        Any thread.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._operations = Counter(
            "httpserver_phonebook_operations_total",
            "Operations of the phone book's store, by what they came to.",
            ["operation", "result"],
            registry=registry,
        )
        self._duration = Histogram(
            "httpserver_phonebook_operation_duration_seconds",
            "How long operations of the phone book's store took, with their retries.",
            ["operation"],
            buckets=BUCKETS,
            registry=registry,
        )
        self.connections = Gauge(
            "httpserver_phonebook_connections_in_use",
            "Connections to the phone book's database that are at work.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        for operation in OPERATIONS:
            self._duration.labels(operation)
            for result in ("done", "unavailable"):
                self._operations.labels(operation, result)

    def observe(self, operation: str, result: str, seconds: float) -> None:
        """
        Count an operation.

        Args:
            operation: One of `OPERATIONS`.
            result: One of `RESULTS`.
            seconds: How long it took.
        """
        self._operations.labels(operation, result).inc()
        self._duration.labels(operation).observe(seconds)
