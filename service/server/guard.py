"""
What the connections of one server share: limits, the clock that ends slow ones, counts.

One timer looks at every connection a few times a second, so that a request sets and
clears no timer of its own; a time-out is kept to within `SWEEP` seconds.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol

from service.observability.logging import get_logger
from service.server.heads import HeadWriter
from service.server.limits import ConnectionLimits, Limits
from service.server.memory import after_the_flood, give_back

__all__ = ["SWEEP", "Connection", "ConnectionObserver", "Drain", "Guard"]

SWEEP = 0.25
"""Seconds between two looks at the connections."""


class Drain:
    """
    Whether the server is leaving: while it is, every answer closes its connection.

    Concurrency:
        A single flag; any thread may set or read it.
    """

    __slots__ = ("active",)

    def __init__(self) -> None:
        self.active = False


class Connection(Protocol):
    """A connection as its server sees it."""

    def check(self, now: float, limits: ConnectionLimits) -> None:
        """End what has taken too long by *now*, a `time.perf_counter()` value."""

    def shutdown(self) -> None:
        """End when idle, or with the answer that is under way."""


class ConnectionObserver(Protocol):
    """Counts what happens to connections."""

    def opened(self) -> None:
        """Count a connection that is open."""

    def lost(self) -> None:
        """Count a connection that is gone."""

    def refused(self, reason: str) -> None:
        """Count a request that the listener refused."""

    def closed(self, reason: str) -> None:
        """Count a connection that the server ended by itself."""

    def drained(self) -> None:
        """Count a request that came while draining."""


class _Unobserved:
    def _ignore(self, reason: str = "") -> None:
        """Count nothing."""

    opened = lost = refused = closed = drained = _ignore


class Guard:
    """
    The shared side of a server's connections.

    Args:
        limits: Gives the limits; asked at each request and look.
        drain: The flag that closes each connection after its answer.
        observer: Counts refusals and closings.

    Attributes:
        connections: The open ones.
        tasks: The running requests.
        heads: Makes the heads of answers.
        leaving: Whether a connection that opens now is to end with its first answer.

    Concurrency:
        For one event loop.
    """

    def __init__(
        self,
        limits: Callable[[], ConnectionLimits] = Limits,
        *,
        drain: Drain | None = None,
        observer: ConnectionObserver | None = None,
    ) -> None:
        self.limits = limits
        self.drain = drain or Drain()
        self.observer = observer or _Unobserved()
        self.connections: set[Any] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.heads = HeadWriter()
        self.leaving = False
        self._batch: float | None = None
        self._sweeping: asyncio.TimerHandle | None = None
        self._dated = 0
        self._flood_over = after_the_flood(lambda: len(self.connections))

    def share(self, connections: set[Any], tasks: set[asyncio.Task[None]]) -> None:
        """Keep connections and tasks in sets that are uvicorn's too."""
        self.connections = connections
        self.tasks = tasks

    def opened(self, connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
        """Look after *connection* until it is `lost`."""
        self.connections.add(connection)
        self.observer.opened()
        if self._sweeping is None:
            self._sweep(loop)

    def lost(self, connection: Connection) -> None:
        """Forget *connection*."""
        self.connections.discard(connection)
        self.observer.lost()

    def batch_began(self, loop: asyncio.AbstractEventLoop) -> float:
        """
        Return when this turn of the event loop began to read.

        What is read later in the same turn has waited since then; it is the delay that
        load shedding measures. A `time.perf_counter()` value.
        """
        if self._batch is None:
            self._batch = time.perf_counter()
            loop.call_soon(self._end_batch)
        return self._batch

    def _end_batch(self) -> None:
        self._batch = None

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        self._sweeping = None
        if self._flood_over():
            # in a while: those that are leaving still hold what they had
            loop.call_later(1.0, loop.run_in_executor, None, give_back)
        if not self.connections:
            return
        self._sweeping = loop.call_later(SWEEP, self._sweep, loop)
        second = int(time.time())
        if second != self._dated:
            self._dated = second
            self.heads.tick(second)
        now = time.perf_counter()
        limits = self.limits()
        for connection in list(self.connections):
            try:
                connection.check(now, limits)
            except Exception:  # noqa: BLE001 - one connection must not shield the others
                get_logger("httpserver.server").exception("check_failed")
