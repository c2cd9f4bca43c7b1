"""
What patterns of resilience tell of themselves, counted and logged, where the part that
uses them has no metric of its own for it.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, Counter

from service.observability.logging import get_logger

__all__ = ["PatternEvent", "PatternMetrics"]


class PatternEvent(Protocol):
    """Something worth telling, as `service.resilience.events.Event` has it."""

    @property
    def pattern(self) -> str:
        """Which pattern."""

    @property
    def name(self) -> str:
        """Name that its user gave this one."""

    @property
    def event(self) -> str:
        """What happened."""

    @property
    def fields(self) -> Mapping[str, Any]:
        """More about it."""


class PatternMetrics:
    """
    Counts events, and logs them at `debug`.

    Args:
        registry: For what the processes that answer requests count together.

    Concurrency:
        Any thread.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._events = Counter(
            "httpserver_pattern_events_total",
            "What patterns of resilience did, by pattern, user and event.",
            ["pattern", "name", "event"],
            registry=registry,
        )

    def observe(self, event: PatternEvent) -> None:
        """Take an event; the names are those of the code, and few."""
        self._events.labels(event.pattern, event.name, event.event).inc()
        log = get_logger("httpserver.patterns")
        name = f"{event.pattern}_{event.event}"
        log.debug(name, name=event.name, **event.fields)
