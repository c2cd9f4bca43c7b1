"""
The shared store of the throttle, as the settings have it now: none, one, or another.

Its URL holds a password, so it comes from the Secret, which may change while the
service runs.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from service.observability.logging import get_logger
from service.observability.overload_metrics import OverloadMetrics
from service.resilience.keyed_throttle import KeyedThrottle
from service.settings import ThrottleSettings

if TYPE_CHECKING:
    from service.resilience.shared_throttle import SharedThrottle

__all__ = ["Store"]

_ALONE = "each process counts its clients for itself"


class Store:
    """
    Where replicas count together.

    Args:
        settings: Gives the settings as they are now.
        limits: Gives burst and rate of a client, as `local` has them.
        local: Counts while the store is away.
        metrics: Counts what fails.
        prefix: Begins each key in the store.

    Attributes:
        shared: The throttle of the store; None when there is none.

    Concurrency:
        For one event loop.
    """

    def __init__(
        self,
        settings: Callable[[], ThrottleSettings],
        *,
        limits: Callable[[], tuple[float, float]],
        local: KeyedThrottle,
        metrics: OverloadMetrics,
        prefix: str,
    ) -> None:
        self.shared: SharedThrottle | None = None
        self._settings = settings
        self._limits = limits
        self._local = local
        self._metrics = metrics
        self._prefix = prefix
        self._closing: set[asyncio.Task[None]] = set()

    def use(self) -> None:
        """Count in the store of the settings from now on; let go of the one before."""
        before, self.shared = self.shared, self._opened()
        if before is not None:
            closing = asyncio.get_running_loop().create_task(before.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Let go of the store."""
        before, self.shared = self.shared, None
        if before is not None:
            await before.close()
        await asyncio.gather(*self._closing)

    def _opened(self) -> "SharedThrottle | None":
        url = self._settings().store
        if url is None:
            return None
        # the client of the store takes a tenth of a second to import
        from service.resilience.shared_throttle import SharedThrottle

        return SharedThrottle.at(
            url.get_secret_value(),
            limits=self._limits,
            local=self._local,
            timeout=lambda: self._settings().store_timeout,
            observer=_StoreLog(self._metrics),
            prefix=self._prefix,
        )


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
