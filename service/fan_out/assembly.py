"""`/fan-out`, put together from settings and the client."""

import socket
import time
from collections.abc import Callable, Mapping

from service.client.answers import Response as Answer
from service.fan_out.calling import Backends
from service.fan_out.hops import budget
from service.fan_out.tree import Node, all_failed
from service.feature import Core, Feature
from service.resilience.bulkhead import Bulkhead
from service.server.context import RequestContext
from service.server.responses import Response
from service.server.routes import Route
from service.settings import FanOutSettings

__all__ = ["FanOut", "fan_out"]

PATH = "/fan-out"


class FanOut:
    """
    The handler of `/fan-out`.

    Args:
        settings: Gives whom to call, and the bounds, as they are now.
        backends: Calls them.
        identity: Name, host and version, as the tree tells them.
    """

    def __init__(
        self,
        settings: Callable[[], FanOutSettings],
        *,
        backends: Backends,
        identity: Mapping[str, str],
    ) -> None:
        self._settings = settings
        self._backends = backends
        self._identity = identity

    async def tell(self, ctx: RequestContext) -> Response:
        """
        Call all backends, and answer the tree of calls.

        200 with what failed in its place; 502, with the tree too, where nothing came of
        any call. Not where the request left less time than the settings: what stands
        before us would take us for broken, and leave us alone, for a caller's hurry.

        Raises:
            BadRequest: A header of the caller makes no sense.
            RequestError: 508: there are too many calls above it.
        """
        settings = self._settings()
        began = time.monotonic()
        allowed = budget(ctx, settings)
        children = await self._backends.ask(
            settings.backends, allowed, concurrency=settings.concurrency
        )
        fruitless = all_failed(children)
        status = 502 if fruitless and not allowed.shortened else 200
        node: Node = {
            **self._identity,
            "status": status,
            **({"error": "backends"} if fruitless else {}),
            "duration": round(time.monotonic() - began, 6),
            "children": children,
        }
        return ctx.write_json(
            node, status=status, headers={"cache-control": "no-store"}
        )


def fan_out(core: Core) -> Feature:
    """Return the route."""
    room = Bulkhead(core.store.current.fan_out.max_in_flight)

    def settings() -> FanOutSettings:
        now = core.store.current
        room.limit = now.fan_out.max_in_flight
        # the client gives a call up then: callees must know, to tell what they have
        most = min(now.client.attempt_timeout, now.client.read_timeout)
        timeout = min(now.fan_out.timeout, most)
        return now.fan_out.model_copy(update={"timeout": timeout})

    async def call(url: str, headers: Mapping[str, str], seconds: float) -> Answer:
        # repeated calls would multiply with each level
        return await core.client.request(
            "GET",
            url,
            headers={"accept": "application/json", **headers},
            timeout=seconds,
            retry=False,
        )

    tree = FanOut(
        settings,
        backends=Backends(call, in_flight=room, observe=core.metrics.patterns.observe),
        identity={
            "name": core.store.current.server.name,
            "host": socket.gethostname(),
            "version": core.version,
        },
    )
    route = Route(
        path=PATH,
        handler=tree.tell,
        summary="Call all backends at once and tell the tree of calls",
        priority="low",
    )
    return Feature(routes=[route])
