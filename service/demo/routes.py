"""
The sample routes and what they are made of.

Settings come as a provider, so that a reload takes effect with the next
request; chance, time and measuring come as functions, so that tests decide them.
"""

import asyncio
import math
import platform
import re
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from service.demo.echo import echo
from service.errors import BadRequest
from service.server.context import RequestContext
from service.server.responses import Response, status_phrase
from service.server.routes import ANY_METHOD, Route
from service.settings import DemoSettings

__all__ = ["Identity", "Samples", "routes"]

_DECIMAL = re.compile(r"[0-9]{1,9}(?:\.[0-9]{0,9})?|\.[0-9]{1,9}", re.ASCII)
"""Seconds in a path; no sign, no exponent, no `nan`."""

_STATUS = re.compile(r"[2-5][0-9]{2}", re.ASCII)

_WITHOUT_BODY = (204, 205, 304)
"""Statuses whose answers hold nothing (RFC 9110 §15)."""

_FIRST_ERROR = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """
    Who answers.

    Attributes:
        name: Name of the service.
        version: Version of the service.
        admin_port: Port of probes and metrics, or None when it is not open.
        host: Name of the machine; on Kubernetes that of the pod.
        python: Version of the interpreter.
    """

    name: str
    version: str
    admin_port: int | None = None
    host: str = field(default_factory=socket.gethostname)
    python: str = field(default_factory=platform.python_version)


class Samples:
    """
    The handlers of the sample routes.

    Args:
        identity: Who answers.
        settings: Gives the settings as they are now.
        waits: Whether a request waits its random delay.
        uniform: Draws a number between two, such as `random.uniform`.
        observe: Measures each random delay, in seconds.
        sleep: Waits for a number of seconds.
    """

    def __init__(
        self,
        identity: Identity,
        *,
        settings: Callable[[], DemoSettings],
        waits: Callable[[RequestContext], bool],
        uniform: Callable[[float, float], float],
        observe: Callable[[float], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._identity = identity
        self._settings = settings
        self._waits = waits
        self._uniform = uniform
        self._observe = observe
        self._sleep = sleep

    async def root(self, ctx: RequestContext) -> Response:
        """Answer after a random delay, and tell it."""
        delay = await self._wait_at_random(ctx)
        return ctx.write_json(
            {
                "delay": round(delay, 6),
                "host": self._identity.host,
                "version": self._identity.version,
                "request_id": ctx.request_id,
            }
        )

    async def _wait_at_random(self, ctx: RequestContext) -> float:
        """Wait the random delay and return it; a client that leaves counts for none."""
        if not self._waits(ctx):
            return 0.0
        settings = self._settings()
        delay = self._uniform(settings.delay_min, settings.delay_max)
        await self._sleep(delay)
        self._observe(delay)
        return delay

    async def hello(self, ctx: RequestContext) -> Response:
        """Greet in text; `?name=` says whom."""
        return ctx.write_text(f"Hello, {ctx.query.get('name') or 'World'}!\n")

    async def version(self, ctx: RequestContext) -> Response:
        """Tell what is running, and where."""
        who = self._identity
        return ctx.write_json(
            {
                "name": who.name,
                "version": who.version,
                "python": who.python,
                "host": who.host,
                "admin_port": who.admin_port,
            }
        )

    async def delay(self, ctx: RequestContext) -> Response:
        """
        Answer after as many seconds as the path says.

        Raises:
            BadRequest: It is no number of seconds, or above the limit.
        """
        text, limit = ctx.path_params["seconds"], self._settings().delay_limit
        seconds = float(text) if _DECIMAL.fullmatch(text) else math.nan
        if not 0 <= seconds <= limit:
            raise BadRequest(f"The delay must be 0 to {limit:g} seconds.")
        await self._sleep(seconds)
        return ctx.write_json({"delay": seconds})

    async def status(self, ctx: RequestContext) -> Response:
        """
        Answer with the status that the path says.

        Raises:
            BadRequest: It is no final status; 1xx only announce another answer.
        """
        code = ctx.path_params["code"]
        if not _STATUS.fullmatch(code):
            raise BadRequest("The status must be 200 to 599.")
        status = int(code)
        if status in _WITHOUT_BODY or status >= _FIRST_ERROR:
            return ctx.write_status(status)
        return ctx.write_json(
            {"status": status, "phrase": status_phrase(status)}, status=status
        )


def routes(samples: Samples) -> list[Route]:
    """Return the routes of *samples*."""
    return [
        Route(path="/", handler=samples.root, summary="Answer after a random delay"),
        Route(path="/hello", handler=samples.hello, summary="Greet in text"),
        Route(path="/version", handler=samples.version, summary="What is running"),
        Route(
            path="/echo",
            handler=echo,
            methods=ANY_METHOD,
            summary="Mirror the request",
        ),
        Route(
            path="/delay/{seconds}",
            handler=samples.delay,
            summary="Answer after so many seconds",
        ),
        Route(
            path="/status/{code}",
            handler=samples.status,
            methods=ANY_METHOD,
            summary="Answer with that status",
        ),
    ]
