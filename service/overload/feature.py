"""The three filters and what they share, put together from settings and metrics."""

from collections.abc import Awaitable, Callable
from typing import TypedDict

from service.feature import Core, Feature
from service.observability.logging import get_logger
from service.observability.overload_metrics import OverloadMetrics
from service.overload.bulkheads import Bulkheads, partition
from service.overload.heartbeat import Heartbeat
from service.overload.refusals import Refused
from service.overload.shedding import bounds_of, shedder_of, shedding
from service.overload.throttling import local_throttling, throttling
from service.resilience.load_shedder import LoadShedder
from service.resilience.throttle import KeyedThrottle
from service.server.application import Filter
from service.server.context import RequestContext
from service.settings import Settings, ThrottleSettings

__all__ = ["Overload", "feature"]


def feature(core: Core) -> Feature:
    """Return the filters: shed first, since it costs least, then throttle and part."""
    overload = Overload(core)
    return Feature(filters=overload.filters, parts=[overload])


class _Throttling(TypedDict):
    settings: Callable[[], ThrottleSettings]
    authenticate: list[Callable[[RequestContext], str | None]]
    refused: Refused


class Overload:
    """
    Keeps the filters to the settings, and measures.

    Args:
        core: Settings, metrics, the parts there are, and who knows a user.

    Attributes:
        filters: In the order in which they run.
    """

    name = "overload"

    def __init__(self, core: Core) -> None:
        settings = core.store.current
        metrics = core.metrics.overload
        self._core = core
        self._metrics = metrics
        self._shedder: LoadShedder = shedder_of(settings.overload)
        self._heartbeat = Heartbeat(self._measure)
        self._bulkheads = Bulkheads(core.part_names)
        self._bulkheads.limit(settings.overload.bulkheads)
        self._throttle = KeyedThrottle(
            self._limits, max_keys=settings.throttle.max_clients
        )
        self._close: Callable[[], Awaitable[None]] | None = None

        def wait() -> float:
            return core.store.current.overload.retry_after

        self.filters = [
            shedding(
                self._shedder,
                heartbeat=self._heartbeat,
                wait=wait,
                refused=metrics.refused,
            ),
            self._throttling(settings),
            partition(self._bulkheads, wait=wait, refused=metrics.refused),
        ]
        core.store.subscribe(self._reloaded)

    async def start(self) -> None:
        """Begin to measure."""
        self._bulkheads.warn_of_unknown()
        self._heartbeat.start()

    async def stop(self) -> None:
        """Measure no more, and let go of the shared store."""
        self._heartbeat.stop()
        if self._close is not None:
            await self._close()

    def _throttling(self, settings: Settings) -> Filter:
        """Return the throttle that counts here, or in the store replicas share."""
        core, url = self._core, settings.throttle.store
        known: _Throttling = {
            "settings": lambda: core.store.current.throttle,
            "authenticate": core.authenticate,
            "refused": self._metrics.refused,
        }
        if url is None:
            return local_throttling(self._throttle.acquire, **known)
        # the client of the store takes a tenth of a second to import
        from service.resilience.shared_throttle import SharedThrottle

        shared = SharedThrottle.at(
            url.get_secret_value(),
            limits=self._limits,
            local=self._throttle,
            timeout=lambda: self._core.store.current.throttle.store_timeout,
            observer=_StoreLog(self._metrics),
            prefix=f"{settings.server.name}:throttle:",
        )
        self._close = shared.close
        return throttling(shared.acquire, **known)

    def _limits(self) -> tuple[float, float]:
        throttle = self._core.store.current.throttle
        return throttle.burst, throttle.rate

    def _measure(self) -> None:
        self._metrics.limit.set(self._shedder.limit.value)
        self._metrics.clients.set(len(self._throttle))

    def _reloaded(self, old: Settings, new: Settings) -> None:
        self._shedder.limit.bounds = bounds_of(new.overload)
        self._bulkheads.limit(new.overload.bulkheads)
        if old.overload.bulkheads != new.overload.bulkheads:
            self._bulkheads.warn_of_unknown()


class _StoreLog:
    """Counts what the shared store fails at, and logs each outage once."""

    def __init__(self, metrics: OverloadMetrics) -> None:
        self._metrics = metrics
        self._log = get_logger("httpserver.overload")

    def failed(self) -> None:
        """Count a call that failed."""
        self._metrics.store_errors.inc()

    def lost(self, reason: str) -> None:
        """Log that replicas count for themselves."""
        self._log.warning("throttle_store_lost", reason=reason, consequence=_ALONE)

    def returned(self) -> None:
        """Log that they count together again."""
        self._log.info("throttle_store_returned")


_ALONE = "each process counts its clients for itself"
