"""The three filters and what they share, put together from settings and metrics."""

import asyncio

from service.feature import Core, Feature
from service.overload.bulkheads import Bulkheads, partition
from service.overload.heartbeat import Heartbeat
from service.overload.shedding import bounds_of, shedder_of, shedding
from service.overload.store import Store
from service.overload.throttling import Throttle
from service.resilience.keyed_throttle import KeyedThrottle
from service.resilience.load_shedding import LoadShedder
from service.server.around import Around
from service.settings import Settings, ThrottleSettings

__all__ = ["Overload", "feature"]


def feature(core: Core) -> Feature:
    """Return the filters: shed first, since it costs least, then throttle and part."""
    overload = Overload(core)
    return Feature(filters=overload.filters, parts=[overload])


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
        self._metrics = metrics
        self._shedder: LoadShedder = shedder_of(settings.overload)
        self._heartbeat = Heartbeat(self._measure)
        self._bulkheads = Bulkheads(core.part_names)
        self._bulkheads.limit(settings.overload.bulkheads)
        self._limits = _limits_of(settings.throttle)
        self._clients = KeyedThrottle(
            lambda: self._limits, max_keys=settings.throttle.max_clients
        )
        self._loop: asyncio.AbstractEventLoop | None = None

        def wait() -> float:
            return core.store.current.overload.retry_after

        self._store = Store(
            lambda: core.store.current.throttle,
            limits=lambda: self._limits,
            local=self._clients,
            metrics=metrics,
            prefix=f"{settings.server.name}:throttle:",
        )
        self._throttle = Throttle(
            settings.throttle,
            local=self._clients,
            store=self._store,
            authenticate=core.authenticate,
            refused=metrics.refused,
        )

        self.filters = [
            shedding(
                self._shedder,
                heartbeat=self._heartbeat,
                wait=wait,
                refused=metrics.refused,
            ),
            Around(self._throttle.enter),
            partition(self._bulkheads, wait=wait, refused=metrics.refused),
        ]
        core.store.subscribe(self._reloaded)

    async def start(self) -> None:
        """Begin to measure."""
        self._bulkheads.warn_of_unknown()
        self._heartbeat.start()
        self._loop = asyncio.get_running_loop()
        self._store.use()

    async def stop(self) -> None:
        """Measure no more, and let go of the shared store."""
        self._heartbeat.stop()
        await self._store.close()

    def _measure(self) -> None:
        self._metrics.limit.set(self._shedder.limit.value)
        self._metrics.clients.set(len(self._clients))

    def _reloaded(self, old: Settings, new: Settings) -> None:
        self._shedder.limit.bounds = bounds_of(new.overload)
        self._bulkheads.limit(new.overload.bulkheads)
        self._limits = _limits_of(new.throttle)
        self._throttle.adapt(new.throttle)
        if old.overload.bulkheads != new.overload.bulkheads:
            self._bulkheads.warn_of_unknown()
        if old.throttle.store != new.throttle.store and self._loop is not None:
            self._loop.call_soon_threadsafe(self._store.use)


def _limits_of(settings: ThrottleSettings) -> tuple[float, float]:
    """Return burst and rate of a client."""
    return settings.burst, settings.rate
