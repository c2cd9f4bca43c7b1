"""
Calling all backends at once, and what became of each.

Nothing is tried twice: each level of a tree would multiply the calls of the next. A
backend that keeps failing is left alone by the client's breaker, and shown so.

A call has all the time that the settings grant it, and is cancelled where the request
leaves it less: only the first may be held against the backend, or any stranger could
have a backend left alone by asking in too great a hurry.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from service.client.errors import ClientError, UpstreamError, UpstreamTimeout
from service.concurrency.pool import WorkerPool
from service.fan_out.hops import Budget
from service.fan_out.tree import SKIPPED, Node, grafted
from service.resilience.bulkhead import Bulkhead, BulkheadFull
from service.resilience.events import Observe, ignore
from service.resilience.fallback import Fallback

__all__ = ["Answer", "Backends", "Call"]

_ERRORS = 400

_LEAST = 0.001
"""Seconds below which a call is not begun."""


class Answer(Protocol):
    """An answer, as the client gives it."""

    @property
    def status(self) -> int:
        """Status."""

    def json(self) -> object:
        """Return the body as JSON; raise ValueError where it is none."""


Call = Callable[[str, Mapping[str, str], float], Awaitable[Answer]]
"""Makes a GET of a URL with headers, within seconds."""


class Backends:
    """
    Calls backends.

    Args:
        call: Makes one call.
        in_flight: Room for the calls of all requests.
        observe: Told when a node has to stand in for an answer.

    Concurrency:
        Tasks of one event loop. All calls of a request end with it.
    """

    def __init__(
        self, call: Call, *, in_flight: Bulkhead, observe: Observe = ignore
    ) -> None:
        self._call = call
        self._in_flight = in_flight
        self._fallback = Fallback(
            lambda error: {"error": _reason(error)},
            name="fan_out",
            on=lambda error: isinstance(
                error, BulkheadFull | ClientError | TimeoutError
            ),
            observe=observe,
        )

    async def ask(
        self, urls: list[str], budget: Budget, *, concurrency: int
    ) -> list[Node]:
        """
        Return a node for each of *urls*, in their order; never raise for one of them.

        Args:
            urls: Whom to call.
            budget: What it may use up.
            concurrency: Calls at once.
        """
        if budget.deepest or not urls:
            return [{"url": url, "error": SKIPPED, "children": []} for url in urls]
        began = time.monotonic()
        async with WorkerPool(concurrency, backlog=len(urls)) as pool:
            asked: list[asyncio.Future[Node]] = [
                await pool.submit(self._node, url, budget, began) for url in urls
            ]
        return [each.result() for each in asked]

    async def _node(self, url: str, budget: Budget, began: float) -> Node:
        start = time.monotonic()
        told: Node = {"error": "timeout"}
        spent = start - began
        if budget.timeout - spent > _LEAST:
            told = await self._fallback.call(self._told, url, budget, spent)
        node = {"children": [], **told, "url": url, "start": round(spent, 6)}
        if "duration" in told:
            node["own_duration"] = told["duration"]
        return node | {"duration": round(time.monotonic() - start, 6)}

    async def _told(self, url: str, budget: Budget, spent: float) -> Node:
        """
        Return what the backend says of itself.

        Raises:
            BulkheadFull: Too many calls are under way.
            ClientError: There is no answer.
            TimeoutError: There is none in the time that the request leaves.
        """
        left, granted = budget.timeout - spent, budget.granted - spent
        with self._in_flight.guarded():
            async with asyncio.timeout(left if budget.shortened else None):
                answer = await self._call(url, budget.headers(left), granted)
        node: Node = {}
        with contextlib.suppress(ValueError):
            node = grafted(answer.json())
        node["status"] = answer.status
        if answer.status >= _ERRORS:
            node["error"] = "status"
        return node


def _reason(error: Exception) -> str:
    """Return the word for why there is no answer."""
    if isinstance(error, BulkheadFull):
        return "full"
    if isinstance(error, UpstreamTimeout | TimeoutError):
        return "timeout"
    return error.reason if isinstance(error, UpstreamError) else "invalid"
