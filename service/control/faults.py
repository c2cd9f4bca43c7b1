"""
Faults on purpose: the filter that lets a share of the requests fail or wait.

Whoever depends on a service should have seen it fail: with a rate, so that retries have
a chance, and with an end, so that nobody forgets it. A request that a fault has hit
says so in `x-fault-injected`; probes are never hit.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from random import Random
from typing import NoReturn

from service.control.state import ControlState, Fault
from service.errors import RequestError
from service.server.context import RequestContext
from service.server.reading import ClientDisconnected
from service.server.responses import Response
from service.server.routes import Handler

__all__ = ["HEADER", "Injector"]

HEADER = b"x-fault-injected"
"""Answer header with the ids of the faults that hit the request."""


class Injector:
    """
    The filter, and the chances of each active fault.

    Args:
        count: Counts an injection by its kind: `delay`, `status` or `abort`.
        sleep: Waits so many seconds.

    Attributes:
        active: Faults and their chances; while it is empty, a look at it is all that a
            request costs.

    Concurrency:
        `update` on any thread; the filter on one event loop, where the chances belong.
    """

    def __init__(
        self,
        *,
        count: Callable[[str], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.active: tuple[tuple[Fault, Random], ...] = ()
        self._count = count
        self._sleep = sleep

    def update(self, _old: ControlState, new: ControlState) -> None:
        """Take over the faults of *new*; one that was there keeps its chances."""
        known = {fault.id: chance for fault, chance in self.active}
        self.active = tuple(
            (fault, known.get(fault.id) or Random(fault.seed))  # noqa: S311 - chance, no secret
            for fault in new.faults
        )

    def enter(self, ctx: RequestContext) -> None:
        """Put the faults before the handler of a request, if there are any."""
        if self.active and not ctx.probe:
            ctx.handler = partial(self._meet, handler=ctx.handler)

    async def _meet(self, ctx: RequestContext, handler: Handler) -> Response:
        for fault, chance in self.active:
            if fault.scope.takes(ctx) and chance.random() < fault.rate:
                await self._hit(ctx, fault, chance)
        return await handler(ctx)

    async def _hit(self, ctx: RequestContext, fault: Fault, chance: Random) -> None:
        """
        Delay the request, and end it if the fault does.

        Raises:
            RequestError: The status to answer.
            ClientDisconnected: The connection is cut.
        """
        ctx.response_headers.append((HEADER, fault.id.encode()))
        if fault.delay is not None:
            self._count("delay")
            await self._sleep(fault.delay.draw(chance))
        if fault.abort:
            self._count("abort")
            await _cut(ctx)
        if fault.status is not None:
            self._count("status")
            raise RequestError("A fault was injected.", status=fault.status)


async def _cut(ctx: RequestContext) -> NoReturn:
    """
    Reset the connection without an answer.

    Raises:
        ClientDisconnected: Always: nobody is there any more.
    """
    abort = _abort_of(ctx)
    if abort is not None:
        abort()
        while (await ctx.receive())["type"] != "http.disconnect":
            continue
    raise ClientDisconnected


def _abort_of(ctx: RequestContext) -> Callable[[], None] | None:
    """Return what resets the connection: ASGI has no word for it, our listener does."""
    exchange = getattr(ctx.send, "__self__", ctx.send)
    found: Callable[[], None] | None = getattr(exchange, "abort", None)
    return found
