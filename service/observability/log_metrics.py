"""What the log does not say, counted."""

from collections.abc import Mapping
from typing import get_args

from prometheus_client import CollectorRegistry, Counter

from service.settings.fields import LogLevel

__all__ = ["LogMetrics"]


class LogMetrics:
    """
    Lines that sampling left out.

    Args:
        registry: Where they are registered.

    Concurrency:
        Any thread.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._dropped = Counter(
            "httpserver_log_lines_dropped_total",
            "Log lines that sampling left out.",
            ["level"],
            registry=registry,
        )
        for each in get_args(LogLevel):
            self._dropped.labels(each)

    def dropped(self, lines: Mapping[str, int]) -> None:
        """
        Count lines that were left out.

        Args:
            lines: How many, by level.
        """
        for level, count in lines.items():
            self._dropped.labels(level).inc(count)
