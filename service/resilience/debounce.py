"""
Debounce: of calls that come close upon each other, one is made.

    leading    the first call is made at once; those that follow within `wait` seconds
               of the latest one get its result
    trailing   calls wait until none has come for `wait` seconds; then the last one is
               made, and all of them get its result

`most` bounds how long a flood that never pauses can put the call off.

    @debounced(0.1)
    async def reload(): ...          or a plain function, called in threads

There is no form of a block: a block can't be left out and given another's result.

Source: the pattern of this name in Titmus, "Cloud Native Go", chapter 4, where the two
forms are called function-first and function-last.
"""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from functools import partial, wraps
from threading import Lock
from typing import Any, Generic, Literal, TypeVar

from service.resilience.events import Event, Observe, ignore

__all__ = ["Debounce", "Edge", "PlainDebounce", "debounced"]

T = TypeVar("T")

Edge = Literal["leading", "trailing"]
"""Which call of a flood is made: the first, or the last."""


def debounced(
    wait: float,
    *,
    edge: Edge = "trailing",
    most: float | None = None,
    name: str = "",
    observe: Observe = ignore,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """
    Return a decorator for coroutine functions and plain ones.

    Args:
        wait: Seconds without a call that end a flood, > 0.
        edge: Which call of a flood is made.
        most: Seconds after which a flood ends anyway; None is never.
        name: What is called, for events.
        observe: Told of `made` and `joined`.
    """
    options: dict[str, Any] = {"edge": edge, "most": most}
    options |= {"name": name, "observe": observe}

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        if not inspect.iscoroutinefunction(function):
            plain = PlainDebounce(function, wait, **options)

            @wraps(function)
            def once_plainly(*args: Any, **kwargs: Any) -> Any:
                return plain(*args, **kwargs)

            return once_plainly
        debounce = Debounce(function, wait, **options)

        @wraps(function)
        async def once(*args: Any, **kwargs: Any) -> Any:
            return await debounce(*args, **kwargs)

        return once

    return decorate


class Debounce(Generic[T]):
    """
    Makes one call of many.

    Args:
        function: What is called, a coroutine function.
        wait: Seconds without a call that end a flood, > 0.
        edge: Which call of a flood is made.
        most: Seconds after which a flood ends anyway; None is never.
        name: What is called, for events.
        observe: Told of `made` for the first call of a flood and of `joined` for each
            other one.

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
        name: str = "",
        observe: Observe = ignore,
    ) -> None:
        self._function = function
        self._floods = _Floods(wait, most)
        self._edge = edge
        self._name = name
        self._observe = observe
        self._task: asyncio.Task[T]

    async def __call__(self, *args: Any, **kwargs: Any) -> T:
        """Return the result of the one call that is made of this flood."""
        call = partial(self._function, *args, **kwargs)
        loop = asyncio.get_running_loop()
        flood, first = self._floods.join(call, loop.time())
        _tell(self._observe, self._name, first=first)
        if first:
            run = _last(flood) if self._edge == "trailing" else call()
            self._task = asyncio.ensure_future(run)
        return await asyncio.shield(self._task)


class PlainDebounce(Generic[T]):
    """
    Makes one call of many that threads make.

    Args:
        function: What is called, a plain function.
        wait: Seconds without a call that end a flood, > 0.
        edge: Which call of a flood is made.
        most: Seconds after which a flood ends anyway; None is never.
        name: What is called, for events.
        observe: Told of `made` for the first call of a flood and of `joined` for each
            other one.
        clock: Gives the time in seconds; it must not go backwards.
        sleep: Waits.

    Raises:
        ValueError: *wait* is not above 0.

    Concurrency:
        Any thread; the one that came first makes the call, the others wait for it.
    """

    def __init__(
        self,
        function: Callable[..., T],
        wait: float,
        *,
        edge: Edge = "trailing",
        most: float | None = None,
        name: str = "",
        observe: Observe = ignore,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._function = function
        self._floods = _Floods(wait, most)
        self._edge = edge
        self._name = name
        self._observe = observe
        self._clock = clock
        self._sleep = sleep
        self._lock = Lock()
        self._outcome: Future[T] = Future()

    def __call__(self, *args: Any, **kwargs: Any) -> T:
        """Return the result of the one call that is made of this flood."""
        call = partial(self._function, *args, **kwargs)
        with self._lock:
            flood, first = self._floods.join(call, self._clock())
            if first:
                self._outcome = Future()
            outcome = self._outcome
        _tell(self._observe, self._name, first=first)
        if first:
            self._make(flood, call, outcome)
        return outcome.result()

    def _make(self, flood: "_Flood", call: Callable[[], T], outcome: Future[T]) -> None:
        try:
            if self._edge == "trailing":
                call = self._last(flood)
            outcome.set_result(call())
        except BaseException as error:  # noqa: BLE001 - it belongs to all callers
            outcome.set_exception(error)

    def _last(self, flood: "_Flood") -> Callable[[], T]:
        while True:
            with self._lock:
                left = flood.until - self._clock()
                if left <= 0:
                    flood.ended = True
                    return flood.call
            self._sleep(left)


class _Floods:
    """Which calls belong together."""

    def __init__(self, wait: float, most: float | None) -> None:
        if wait <= 0:
            raise ValueError("wait must be above 0")
        self._wait = wait
        self._most = most
        self._latest: _Flood | None = None

    def join(self, call: Callable[[], Any], now: float) -> "tuple[_Flood, bool]":
        """Return the flood of a call at *now*, and whether it is its first."""
        flood = self._latest
        first = flood is None or flood.ended or now >= flood.until
        if flood is None or first:
            most = self._most
            flood = self._latest = _Flood(None if most is None else now + most)
        flood.extend(now + self._wait, call)
        return flood, first


class _Flood:
    """
    Calls that belong together.

    Attributes:
        until: When it ends, if no further call comes.
        call: The latest.
        ended: Whether its call was made.
    """

    __slots__ = ("_limit", "call", "ended", "until")

    call: Callable[[], Any]
    until: float

    def __init__(self, limit: float | None) -> None:
        self._limit = limit
        self.ended = False

    def extend(self, until: float, call: Callable[[], Any]) -> None:
        self.until = until if self._limit is None else min(until, self._limit)
        self.call = call


async def _last(flood: _Flood) -> Any:
    loop = asyncio.get_running_loop()
    while (left := flood.until - loop.time()) > 0:  # noqa: ASYNC110 - each call moves it
        await asyncio.sleep(left)
    flood.ended = True
    return await flood.call()


def _tell(observe: Observe, name: str, *, first: bool) -> None:
    observe(Event("debounce", name, "made" if first else "joined"))
