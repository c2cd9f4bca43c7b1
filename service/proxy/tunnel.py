"""
Upgraded connections, such as WebSockets: bytes both ways, as they come.

The upstream says 101, and from then on neither side is HTTP. A tunnel ends when one
side does, when nothing has moved for the idle time, and, when the service is leaving,
after a bounded wait: its clients come back and meet another instance.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from service.observability.proxy_metrics import RouteMetrics
from service.proxy.attempt import Attempt
from service.proxy.connection import UpstreamConnection
from service.proxy.failures import ClientLeft, Failure
from service.proxy.headers import Pairs
from service.server.context import RequestContext
from service.server.exchange import Exchange
from service.server.responses import Response, SentResponse

__all__ = ["Tunnels", "wanted_protocol"]

_SWITCHING = 101
_NEVER = float("inf")


def wanted_protocol(ctx: RequestContext) -> bytes:
    """Return the protocol that a request asks to change to; empty for none."""
    protocol = ctx.raw_header(b"upgrade")
    named = (ctx.raw_header(b"connection") or b"").lower().split(b",")
    asked = protocol is not None and b"upgrade" in [each.strip() for each in named]
    if not asked or ctx.method != "GET" or not isinstance(ctx.send, Exchange):
        return b""
    return b"websocket" if protocol and protocol.lower() == b"websocket" else b""


class Tunnels:
    """
    The tunnels of one process.

    Args:
        leaving: Whether the service is about to go.
        grace: Gives the seconds that tunnels may stay then.

    Concurrency:
        For one event loop.
    """

    def __init__(
        self, leaving: Callable[[], bool], *, grace: Callable[[], float]
    ) -> None:
        self._leaving = leaving
        self._grace = grace
        self._open: set[UpstreamConnection] = set()
        self._until = _NEVER

    async def run(
        self,
        ctx: RequestContext,
        attempt: Attempt,
        *,
        headers: Pairs,
        metrics: RouteMetrics,
        idle: float,
    ) -> Response:
        """
        Pass bytes on until one side ends.

        Args:
            ctx: The request, on our own listener.
            attempt: What brought the 101.
            headers: Those of the answer.
            metrics: What is counted.
            idle: Seconds without a byte after which it ends; 0 for none.
        """
        exchange = ctx.send
        if not isinstance(exchange, Exchange):
            raise TypeError("only our listener can switch protocols")
        connection = attempt.connection
        connection.ends_at = _NEVER
        connection.grant("idle", idle)
        self._open.add(connection)
        metrics.tunnels.inc()
        try:
            exchange.switch([*headers, *ctx.response_headers])
            ctx.status = _SWITCHING
            await _both_ways(ctx, exchange, connection, metrics, idle)
        finally:
            metrics.tunnels.dec()
            self._open.discard(connection)
            connection.close()
            attempt.finish(failed=False)
        exchange.write(b"", more=False)
        ctx.finished = True
        return SentResponse(status=_SWITCHING)

    def check(self, now: float) -> None:
        """End the tunnels once the service has been leaving for long enough."""
        if not self._leaving():
            self._until = _NEVER
        elif self._until == _NEVER:
            self._until = now + self._grace()
        elif now > self._until:
            for connection in list(self._open):
                connection.fail(ClientLeft("the service is leaving"))


async def _both_ways(
    ctx: RequestContext,
    exchange: Exchange,
    connection: UpstreamConnection,
    metrics: RouteMetrics,
    idle: float,
) -> None:
    async def up() -> None:
        while (message := await ctx.receive())["type"] == "http.request":
            connection.grant("idle", idle)
            metrics.sent(len(message["body"]))
            await connection.send(message["body"])

    async def down() -> None:
        while data := await connection.piece():
            connection.grant("idle", idle)
            ctx.bytes_sent += len(data)
            metrics.received(len(data))
            await exchange(
                {"type": "http.response.body", "body": data, "more_body": True}
            )

    ways = [asyncio.ensure_future(up()), asyncio.ensure_future(down())]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in ways:
            each.cancel()
        for each in ways:
            with suppress(Failure, asyncio.CancelledError):
                await each
