"""Text messages, measured; registered only where the gateway is switched on."""

from prometheus_client import CollectorRegistry, Counter, Histogram

__all__ = ["SmsMetrics"]

RESULTS = ("sent", "suppressed", "refused", "throttled", "failed")
"""What may come of a message."""

REFUSALS = ("missing", "wrong", "throttled")
"""Why a request to the webhook is turned away."""

BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds; the default time-out ends a request after 10."""


class SmsMetrics:
    """
    Messages by result, how long the provider takes, and who was kept out.

    Args:
        registry: For what the process of the admin port knows.

    Attributes:
        messages: Messages by result.
        duration: Seconds of the requests to the provider.
        refusals: Refused notifications by reason.

    Concurrency:
        Any thread.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.messages = Counter(
            "httpserver_sms_messages_total",
            "Text messages, by result.",
            ["result"],
            registry=registry,
        )
        self.duration = Histogram(
            "httpserver_sms_provider_duration_seconds",
            "How long requests to the provider of text messages took.",
            buckets=BUCKETS,
            registry=registry,
        )
        self.refusals = Counter(
            "httpserver_sms_refusals_total",
            "Notifications that were refused for their token, by reason.",
            ["reason"],
            registry=registry,
        )
        for result in RESULTS:
            self.messages.labels(result)
        for reason in REFUSALS:
            self.refusals.labels(reason)
