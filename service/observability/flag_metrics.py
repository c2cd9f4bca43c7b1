"""What is measured of feature flags."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter

__all__ = ["FlagMetrics"]


class FlagMetrics:
    """
    Evaluations, by what they came to.

    Args:
        registry: For what the processes that answer requests count together.

    Concurrency:
        Any thread.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._evaluations = Counter(
            "httpserver_flag_evaluations_total",
            "Answers to who asked for a flag, by value and reason.",
            ["flag", "value", "reason"],
            registry=registry,
        )

    def counting(self, flag: str, *, value: bool, reason: str) -> Callable[[], None]:
        """Return what counts an answer; the same may be kept for many."""
        shown = "on" if value else "off"
        return self._evaluations.labels(flag, shown, reason.lower()).inc
