"""
What a feature gets from the service and what it gives back.

A feature is a folder with a function `feature(core) -> Feature`, named in
`service.app.FEATURES`. Features know the core and the kits, never each other: delete a
folder and its name in that list, and the rest works on.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from service.config import SettingsStore
from service.observability.metrics import Metrics
from service.server.application import Filter
from service.server.lifecycle import Part
from service.server.routes import Route

__all__ = ["Core", "Feature"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """
    What every feature may use.

    Attributes:
        store: The settings, live.
        metrics: What is measured.
        version: Version of the service.
    """

    store: SettingsStore
    metrics: Metrics
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """
    What a feature adds to the service.

    Attributes:
        routes: Added to the main port.
        filters: Run inside the service's own filters, nearest to the handlers.
        parts: Started and stopped with the service; one with `check` is asked by the
            readiness probe.
    """

    routes: Sequence[Route] = ()
    filters: Sequence[Filter] = ()
    parts: Sequence[Part] = ()
