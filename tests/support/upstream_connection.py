"""An upstream and its connections without a socket: the test says what comes."""

import asyncio
from types import SimpleNamespace

from service.proxy.connection import UpstreamConnection
from service.resilience.circuit_breaker import CircuitBreaker
from service.resilience.retry import RetryBudget

__all__ = ["MemoryUpstream", "connected"]


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.aborted = False

    def write(self, data) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True


def connected() -> UpstreamConnection:
    """Return a connection that nothing was sent on yet."""
    connection = UpstreamConnection(max_head=1000)
    connection.connection_made(Transport())
    return connection


class MemoryUpstream:
    """
    One endpoint, with a new connection for each attempt, which says nothing.

    Attributes:
        taken: Connections that were asked for.
    """

    name = "up"

    def __init__(self) -> None:
        self.breaker = CircuitBreaker("up")
        self.budget = RetryBudget()
        self.taken = 0

    def claim(self, tried) -> SimpleNamespace:
        return SimpleNamespace(endpoint="up:80", finish=lambda *, failed: None)

    def pool(self, endpoint) -> "MemoryUpstream":
        return self

    async def take(self, *, connect, fresh) -> UpstreamConnection:
        self.taken += 1
        return connected()

    def give_back(self, connection) -> None:
        connection.close()
