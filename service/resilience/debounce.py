"""
Debounce: of calls that come close upon each other, one is made.

    leading    the first call is made at once; those that follow within `wait` seconds
               of the latest one get its result
    trailing   calls wait until none has come for `wait` seconds; then the last one is
               made, and all of them get its result

`most` bounds how long a flood that never pauses can put the call off.

Source: the pattern of this name in Titmus, "Cloud Native Go", chapter 4, where the two
forms are called function-first and function-last.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Generic, Literal, TypeVar

__all__ = ["Debounce"]

T = TypeVar("T")

Edge = Literal["leading", "trailing"]


class Debounce(Generic[T]):
    """
    Makes one call of many.

    Args:
        function: What is called, a coroutine function.
        wait: Seconds without a call that end a flood, > 0.
        edge: Which call of a flood is made.
        most: Seconds after which a flood ends anyway; None is never.

    Raises:
        ValueError: *wait* is not above 0.

    Concurrency:
        Tasks of one event loop. A caller that is cancelled leaves the others their
        result.
    """

    def __init__(
        self,
        function: Callable[..., Awaitable[T]],
        wait: float,
        *,
        edge: Edge = "trailing",
        most: float | None = None,
    ) -> None:
        if wait <= 0:
            raise ValueError("wait must be above 0")
        self._function = function
        self._wait = wait
        self._edge = edge
        self._most = most
        self._flood: _Flood[T] | None = None

    async def __call__(self, *args: Any, **kwargs: Any) -> T:
        """Return the result of the one call that is made of this flood."""
        now = asyncio.get_running_loop().time()
        flood = self._flood
        if flood is None or flood.over(now):
            flood = self._flood = _Flood(now, self._most)
        call = partial(self._function, *args, **kwargs)
        flood.extend(now + self._wait, call)
        if flood.task is None:
            run = flood.last if self._edge == "trailing" else flood.first
            flood.task = asyncio.create_task(run())
        return await asyncio.shield(flood.task)


class _Flood(Generic[T]):
    """Calls that belong together."""

    def __init__(self, began: float, most: float | None) -> None:
        self._limit = None if most is None else began + most
        self._until = began
        self._call: Callable[[], Awaitable[T]]
        self.task: asyncio.Task[T] | None = None
        self._made = False

    def extend(self, until: float, call: Callable[[], Awaitable[T]]) -> None:
        self._until = until if self._limit is None else min(until, self._limit)
        self._call = call

    def over(self, now: float) -> bool:
        return now >= self._until or self._made

    async def first(self) -> T:
        return await self._call()

    async def last(self) -> T:
        loop = asyncio.get_running_loop()
        while (left := self._until - loop.time()) > 0:  # noqa: ASYNC110 - each call moves it
            await asyncio.sleep(left)
        self._made = True
        return await self._call()
