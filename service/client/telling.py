"""What calls and the patterns around them tell: as metrics, and in the log."""

from service.observability.client_metrics import ClientMetrics
from service.resilience.events import Event

__all__ = ["Telling"]

_LEVELS = {
    "opened": "warning",
    "half_open": "info",
    "closed": "info",
    "gave_up": "debug",
    "retried": "debug",
}
"""How loudly it is told; what is not here happens too often."""


class Telling:
    """
    Passes on what happens.

    Args:
        metrics: Where it is counted, if anywhere.

    Concurrency:
        Any thread.
    """

    def __init__(self, metrics: ClientMetrics | None = None) -> None:
        self.metrics = metrics

    def event(self, event: Event) -> None:
        """Take an event of a pattern."""
        level = _LEVELS.get(event.event)
        if level is not None:
            _log(level, event)
        if self.metrics is None:
            return
        if event.pattern == "circuit_breaker":
            state = "open" if event.event == "opened" else event.event
            self.metrics.breaker(event.name, state)
        elif event.pattern == "retry":
            self._count_retry(self.metrics, event)
        elif event.pattern == "hedge":
            self._count_hedge(self.metrics, event)

    def breaker_made(self, service: str) -> None:
        """Tell that a breaker begins closed."""
        if self.metrics is not None:
            self.metrics.breaker(service, "closed", entered=False)

    @staticmethod
    def _count_retry(metrics: ClientMetrics, event: Event) -> None:
        result = event.fields.get("reason", "retried")
        metrics.retries.labels(metrics.label(event.name), result).inc()

    @staticmethod
    def _count_hedge(metrics: ClientMetrics, event: Event) -> None:
        if event.event == "won" and event.fields["attempt"] == 1:
            return
        result = "sent" if event.event == "hedged" else "won"
        metrics.hedges.labels(metrics.label(event.name), result).inc()


def _log(level: str, event: Event) -> None:
    # takes its time to import, which `httpserver get` mostly does not need to
    from service.observability.logging import get_logger

    log = getattr(get_logger("httpserver.client"), level)
    log(f"client_{event.pattern}_{event.event}", service=event.name, **event.fields)
