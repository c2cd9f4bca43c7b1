"""
`/latency`: how long `/` takes, for the page that draws it.

The metrics have the same and more, on a port that browsers do not reach.
"""

import socket
from collections.abc import Callable

from service.errors import NotFound
from service.observability.route_latency import RouteLatency
from service.server.context import RequestContext
from service.server.responses import Response
from service.server.routes import Handler, Route
from service.settings import Settings

__all__ = ["latency_route"]


def latency_route(
    latency: RouteLatency,
    *,
    settings: Callable[[], Settings],
    flag: Callable[[str, RequestContext], bool],
) -> Route:
    """
    Return the route that tells *latency*.

    Args:
        latency: What was counted.
        settings: Gives the settings as they are now.
        flag: Whether a flag is on for a request.
    """
    return Route(
        path="/latency",
        handler=_teller(latency, settings, flag, host=socket.gethostname()),
        summary="How long `/` takes: histogram since the start and of the last minute",
        priority="low",
    )


def _teller(
    latency: RouteLatency,
    settings: Callable[[], Settings],
    flag: Callable[[str, RequestContext], bool],
    *,
    host: str,
) -> Handler:
    async def tell(ctx: RequestContext) -> Response:
        """
        Answer the histogram.

        Raises:
            NotFound: It is switched off.
        """
        now = settings()
        if not flag("latency", ctx):
            raise NotFound("This service does not tell its latency.")
        ctx.quiet = True  # every open page asks once a second
        waits = now.demo.enabled and flag("random_delay", ctx)
        scale = now.demo.delay_max if waits else None
        answer = {"host": host, "scale": scale, **latency.snapshot()}
        return ctx.write_json(answer, headers={"cache-control": "no-store"})

    return tell
