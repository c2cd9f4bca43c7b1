"""What one client may take: requests by rate, and streams at a time."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.log_api.errors import CallRefused, Reason
from service.resilience.keyed_throttle import KeyedThrottle
from service.settings.log_service import LogLimitSettings

__all__ = ["Allowance"]


class Allowance:
    """
    Counts what each client takes.

    Args:
        limits: Gives the limits as they are now.

    Concurrency:
        For one event loop.
    """

    def __init__(self, limits: Callable[[], LogLimitSettings]) -> None:
        self._limits = limits
        self._seen: LogLimitSettings | None = None
        self._rate = (1.0, 1.0)
        self._throttle = KeyedThrottle(self._bucket)
        self._streams: Counter[str] = Counter()

    def take(self, client: str) -> None:
        """
        Take one request of *client*.

        Raises:
            CallRefused: It has asked too often.
        """
        wait = self._wait_for(client)
        if wait > 0:
            raise CallRefused(Reason.RATE_LIMITED, retry_after=wait)

    async def pace(self, client: str) -> None:
        """Take one request of *client*, as soon as it may be."""
        wait = self._wait_for(client)
        while wait > 0:
            await asyncio.sleep(wait)
            wait = self._wait_for(client)

    @contextmanager
    def stream(self, client: str) -> Iterator[None]:
        """
        Count a stream of *client* while the block lasts.

        Raises:
            CallRefused: It has as many as it may.
        """
        if self._streams[client] >= self._limits().max_streams:
            raise CallRefused(Reason.TOO_MANY_STREAMS)
        self._streams[client] += 1
        try:
            yield
        finally:
            self._streams[client] -= 1
            if not self._streams[client]:
                del self._streams[client]

    def _wait_for(self, client: str) -> float:
        if self._limits().rate == 0:
            return 0.0
        return self._throttle.try_acquire(client)

    def _bucket(self) -> tuple[float, float]:
        """Return capacity and refill rate: the same tuple for the same settings."""
        limits = self._limits()
        if limits is not self._seen:
            self._seen = limits
            self._rate = (float(limits.burst), limits.rate or 1.0)
        return self._rate
