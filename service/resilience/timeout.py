"""
Time-out: a deadline that callees see.

    async with timeout(2.0):
        await fetch()            # cut after 2 s
        ...
        remaining()              # what is left, to hand on in a header

A deadline inside a deadline is the earlier of both, so nothing a callee asks for can
outlive what its caller allows.

Source: deadlines that are passed on as in gRPC, https://grpc.io/docs/guides/deadlines/
"""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import partial, wraps
from types import TracebackType
from typing import Any, TypeVar

from service.resilience.events import Event, Observe, ignore

__all__ = ["DeadlineExceeded", "remaining", "timeout", "with_timeout"]

T = TypeVar("T")

_INNERMOST: ContextVar["timeout | None"] = ContextVar("deadline", default=None)


class DeadlineExceeded(TimeoutError):
    """The work took longer than it was allowed."""


def remaining() -> float | None:
    """Return the seconds until the deadline, 0.0 when it is over, None without one."""
    block = _INNERMOST.get()
    return None if block is None else max(0.0, block.deadline - block.clock())


class timeout:  # noqa: N801 - used as a word, as asyncio's own
    """
    Cut the block when *seconds* are over, or the deadline that it is inside of.

    Args:
        seconds: How long it may take.
        name: What is bounded, for events.
        observe: Told of `expired`.
        clock: Gives the time of `deadline`; that of the deadline around it without, or
            the monotonic one. The loop's own clock cuts.

    Attributes:
        deadline: When that is, by the clock.
        clock: The same.

    Raises:
        DeadlineExceeded: On leaving: it was cut.

    Concurrency:
        Tasks that begin in the block inherit the deadline for `remaining`, and are not
        cut themselves: the block has to wait for them. A task that somebody cancels
        is cancelled, also where a deadline is over in the same moment or before.
    """

    __slots__ = (
        "_allowed",
        "_cancelling",
        "_left",
        "_name",
        "_observe",
        "_outer",
        "_scope",
        "_token",
        "clock",
        "deadline",
    )

    clock: Callable[[], float]

    def __init__(
        self,
        seconds: float,
        *,
        name: str = "",
        observe: Observe = ignore,
        clock: Callable[[], float] | None = None,
    ) -> None:
        outer = self._outer = _INNERMOST.get()
        left = remaining()
        self._allowed = seconds if left is None else min(seconds, left)
        self._name = name
        self._observe = observe
        self.clock = clock or (time.monotonic if outer is None else outer.clock)
        self._left = False

    async def __aenter__(self) -> None:
        self.deadline = self.clock() + self._allowed
        self._token = _INNERMOST.set(self)
        self._cancelling = _cancelling()
        self._scope = asyncio.timeout(self._allowed)
        await self._scope.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _INNERMOST.reset(self._token)
        self._left = True
        try:
            await self._scope.__aexit__(kind, error, trace)
        except TimeoutError as cut:
            raise self._exceeded() from cut
        # The block around this one was the first to notice a deadline that is both of
        # theirs: whoever looks at what came of this one must not take it for a caller
        # that has left.
        outer = self._outer
        cancelled = isinstance(error, asyncio.CancelledError)
        if cancelled and outer and outer.accounts_for(_cancelling()):
            raise self._exceeded() from error
        # a block within was the first to notice
        if isinstance(error, DeadlineExceeded) and self.clock() >= self.deadline:
            self._tell()

    def accounts_for(self, cancelling: int) -> bool:
        """
        Return whether this deadline, or one around it, is all that cancels the task.

        Args:
            cancelling: Requests to cancel it that no block within has made: each
                deadline that is over has made one, and any other is somebody's own.
        """
        if self._scope.expired() and not self._left:
            cancelling -= 1
            if cancelling <= self._cancelling:
                return True
        return self._outer is not None and self._outer.accounts_for(cancelling)

    def _exceeded(self) -> DeadlineExceeded:
        self._tell()
        return DeadlineExceeded(f"not done within {self._allowed:g} s")

    def _tell(self) -> None:
        told = {"seconds": self._allowed}
        self._observe(Event("timeout", self._name, "expired", told))


def _cancelling() -> int:
    """Return how many requests to cancel it the task has not dealt with."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


def with_timeout(
    seconds: float, *, name: str = "", observe: Observe = ignore
) -> Callable[[Callable[..., Awaitable[T] | T]], Callable[..., Awaitable[T]]]:
    """
    Return a decorator that cuts calls after *seconds*.

    A plain function runs in a thread and the decorated one is awaited: nobody can stop
    the thread, so what it returns too late is thrown away.

    Args:
        seconds: How long a call may take.
        name: What is bounded, for events.
        observe: Told of `expired`.
    """

    def decorate(
        function: Callable[..., Awaitable[T] | T],
    ) -> Callable[..., Awaitable[T]]:
        call: Callable[..., Awaitable[Any]] = (
            function
            if inspect.iscoroutinefunction(function)
            else partial(asyncio.to_thread, function)
        )

        @wraps(function)
        async def limited(*args: Any, **kwargs: Any) -> Any:
            async with timeout(seconds, name=name, observe=observe):
                return await call(*args, **kwargs)

        return limited

    return decorate
