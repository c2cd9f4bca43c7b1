"""What discovery tells: metrics, and log events named `discovery_…`."""

from collections import Counter
from collections.abc import Callable, Iterable

from service.discovery.model import Endpoint, UnknownService
from service.observability.discovery_metrics import DiscoveryMetrics
from service.observability.logging import get_logger

__all__ = ["Telling", "state_of"]

_SHOWN = 10
"""Endpoints that a log line names; of more it gives the number."""

_STALE = "what was known last is used"


class Telling:
    """
    Observes sources and the balancer.

    Args:
        metrics: Counts.
        endpoints: Gives those of a service, as callers see them.

    Concurrency:
        Any thread.
    """

    def __init__(
        self,
        metrics: DiscoveryMetrics,
        *,
        endpoints: Callable[[str], Iterable[Endpoint]],
    ) -> None:
        self._metrics = metrics
        self._endpoints = endpoints
        self._log = get_logger("httpserver.discovery")

    def begin(self, services: Iterable[str]) -> None:
        """Show services before anything is known of them."""
        for each in services:
            self._metrics.begin(each)

    # -- sources -------------------------------------------------------------------

    def changed(
        self, service: str, before: tuple[Endpoint, ...], after: tuple[Endpoint, ...]
    ) -> None:
        """Log what came and what went."""
        self._metrics.changed(service)
        states = self.count(service)
        self._log.info(
            "discovery_changed",
            service=service,
            added=_named(set(after) - set(before)),
            removed=_named(set(before) - set(after)),
            endpoints=dict(states),
        )

    def heard(self, service: str) -> None:
        """Note the time."""
        self._metrics.heard(service)

    def failed(self, service: str, reason: str, *, first: bool) -> None:
        """Log the first failure of a row."""
        self._metrics.failed(service)
        if first:
            self._log.warning(
                "discovery_source_lost",
                service=service,
                reason=reason,
                consequence=_STALE,
            )

    def returned(self, service: str) -> None:
        """Log the end of an outage."""
        self._log.info("discovery_source_returned", service=service)

    # -- endpoints -----------------------------------------------------------------

    def checked(self, service: str, endpoint: Endpoint, well: bool) -> None:  # noqa: FBT001 - a callback
        """Log that health checks turned."""
        event = "discovery_endpoint_well" if well else "discovery_endpoint_ill"
        tell = self._log.info if well else self._log.warning
        tell(event, service=service, endpoint=str(endpoint))
        self.count(service)

    def picked(self, service: str, *, found: bool) -> None:
        """Count a pick."""
        self._metrics.picked(service, found=found)

    def ejected(self, service: str, endpoint: Endpoint, seconds: float) -> None:
        """Log that an endpoint is left out."""
        self._metrics.ejected(service)
        self._log.warning(
            "discovery_endpoint_ejected",
            service=service,
            endpoint=str(endpoint),
            seconds=seconds,
        )

    def count(self, service: str) -> Counter[str]:
        """Measure the endpoints by state, and return them."""
        try:
            states = Counter(state_of(each) for each in self._endpoints(service))
        except UnknownService:
            states = Counter()
        self._metrics.counted(service, states)
        return states


def state_of(endpoint: Endpoint) -> str:
    """Return what an endpoint is: `ready`, `unready` or `terminating`."""
    if endpoint.terminating:
        return "terminating"
    return "ready" if endpoint.ready else "unready"


def _named(endpoints: Iterable[Endpoint]) -> list[str] | int:
    names = sorted(map(str, endpoints))
    return names if len(names) <= _SHOWN else len(names)
