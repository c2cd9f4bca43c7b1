"""What becomes of spans, measured; registered only where requests are traced."""

from prometheus_client import CollectorRegistry, Counter

__all__ = ["TracingMetrics"]


class TracingMetrics:
    """
    Spans that were exported, and those that were not: together all that ended.

    Args:
        registry: Where they are registered.

    Attributes:
        exported: Spans that the exporter took.
        queue_full: Spans that were dropped because too many waited.
        not_exported: Spans that were dropped because their export failed.
        failures: Exports that failed, each of many spans.

    Concurrency:
        Any thread.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.exported = Counter(
            "httpserver_trace_spans_exported_total",
            "Spans that were exported.",
            registry=registry,
        )
        dropped = Counter(
            "httpserver_trace_spans_dropped_total",
            "Spans that were dropped.",
            ["reason"],
            registry=registry,
        )
        self.queue_full = dropped.labels("queue_full")
        self.not_exported = dropped.labels("export_failed")
        self.failures = Counter(
            "httpserver_trace_export_failures_total",
            "Exports of spans that failed.",
            registry=registry,
        )
