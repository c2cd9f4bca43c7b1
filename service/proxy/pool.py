"""
The connections to one endpoint: laid aside after an answer, taken up by the next
request, the youngest first, so that those that are not needed grow old and are closed.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress

from service.proxy.connection import UpstreamConnection
from service.proxy.failures import (
    CertificateRefused,
    NotConnected,
    TimedOut,
    TornOff,
    Unasked,
)
from service.proxy.places import Networks, allowed_addresses
from service.proxy.trust import Trust

__all__ = ["Pool", "PoolLimits", "ReuseObserver"]


class PoolLimits:
    """
    What bounds the connections to an endpoint.

    Args:
        connections: Most of them.
        keep_alive: Seconds that an idle one is kept.
        max_head: Largest head of an answer, in bytes.
    """

    __slots__ = ("connections", "keep_alive", "max_head")

    def __init__(self, connections: int, keep_alive: float, max_head: int) -> None:
        self.connections = connections
        self.keep_alive = keep_alive
        self.max_head = max_head


ReuseObserver = Callable[[bool], None]
"""Is told of each connection that is taken, and whether it was used before."""


class Pool:
    """
    The connections to one endpoint.

    Args:
        host: Address or name.
        port: Port.
        trust: What TLS is checked by; None for plain connections.
        forbidden: Gives the networks to which nothing may be sent.
        limits: Gives the limits, asked at each use.
        observe: Counts connections that are taken.

    Concurrency:
        For one event loop.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        trust: Trust | None = None,
        forbidden: Callable[[], Networks] = lambda: (),
        limits: Callable[[], PoolLimits],
        observe: ReuseObserver,
    ) -> None:
        self._host, self._port = host, port
        self._trust = trust
        self._forbidden = forbidden
        self._limits = limits
        self._observe = observe
        self._idle: list[UpstreamConnection] = []
        self.active: set[UpstreamConnection] = set()
        self._connecting = 0
        self._closed = False

    @property
    def empty(self) -> bool:
        """Whether it holds no connection."""
        return not (self._idle or self.active or self._connecting)

    async def take(self, *, connect: float, fresh: bool = False) -> UpstreamConnection:
        """
        Return a connection, which is the caller's until `give_back`.

        Args:
            connect: Seconds that connecting may take.
            fresh: Whether it must be a new one.

        Raises:
            Failure: There is none to be had.
        """
        while self._idle and not fresh:
            connection = self._idle.pop()
            if connection.usable:
                self.active.add(connection)
                self._observe(True)
                return connection
        connection = await self._connected(connect)
        self.active.add(connection)
        self._observe(False)
        return connection

    async def _connected(self, seconds: float) -> UpstreamConnection:
        limits = self._limits()
        if len(self.active) + self._connecting >= limits.connections:
            raise Unasked("busy", "The upstream has no connection left.")
        self._connecting += 1
        try:
            async with asyncio.timeout(seconds):
                return await self._connect(limits.max_head)
        except TimeoutError:
            raise TimedOut("connect") from None
        except ssl.SSLCertVerificationError as error:
            raise CertificateRefused(str(error)) from error
        except OSError as error:  # ssl.SSLError is one of them
            raise NotConnected(str(error)) from error
        finally:
            self._connecting -= 1

    async def _connect(self, max_head: int) -> UpstreamConnection:
        loop = asyncio.get_running_loop()
        forbidden = self._forbidden()
        places = await allowed_addresses(self._host, self._port, forbidden=forbidden)
        for last, address in enumerate(places, 1 - len(places)):
            try:
                _, connection = await loop.create_connection(
                    lambda: UpstreamConnection(max_head=max_head),
                    address,
                    self._port,
                    ssl=self._trust.context() if self._trust else None,
                    server_hostname=self._trust.name if self._trust else None,
                )
            except OSError:
                if last == 0:
                    raise
            else:
                return connection
        raise NotConnected("no address")

    def give_back(self, connection: UpstreamConnection) -> None:
        """Lay a connection aside for the next request, if it is fit for one."""
        self.active.discard(connection)
        keep = self._limits().keep_alive
        if keep > 0 and connection.reusable and not self._closed:
            connection.lay_aside()
            self._idle.append(connection)
        else:
            connection.close()

    def check(self, now: float) -> None:
        """End exchanges that are late by *now* and close what was idle for long."""
        for connection in list(self.active):
            connection.check(now)
        oldest = now - self._limits().keep_alive
        while self._idle and self._idle[0].idle_since < oldest:
            self._idle.pop(0).close()

    def close(self) -> None:
        """Close idle connections now, the others when they are given back."""
        self._closed = True
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    def abort(self) -> None:
        """Close all connections now."""
        self.close()
        for connection in list(self.active):
            with suppress(Exception):
                connection.fail(TornOff("the service stops"))
