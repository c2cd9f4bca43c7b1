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
import contextlib
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from functools import wraps
from typing import Any, TypeVar

__all__ = ["DeadlineExceeded", "remaining", "timeout", "with_timeout"]

T = TypeVar("T")

_DEADLINE: ContextVar[float | None] = ContextVar("deadline", default=None)


class DeadlineExceeded(TimeoutError):
    """The work took longer than it was allowed."""


def remaining() -> float | None:
    """Return the seconds until the deadline, 0.0 when it is over, None without one."""
    deadline = _DEADLINE.get()
    return None if deadline is None else max(0.0, deadline - time.monotonic())


@contextlib.asynccontextmanager
async def timeout(seconds: float) -> AsyncIterator[None]:
    """
    Cut the block when *seconds* are over, or the deadline that it is inside of.

    Raises:
        DeadlineExceeded: It was cut.

    Concurrency:
        Tasks that begin in the block inherit the deadline for `remaining`, and are not
        cut themselves: the block has to wait for them.
    """
    left = remaining()
    allowed = seconds if left is None else min(seconds, left)
    token = _DEADLINE.set(time.monotonic() + allowed)
    try:
        async with asyncio.timeout(allowed) as scope:
            yield
    except TimeoutError as error:
        if scope.expired():
            raise DeadlineExceeded(f"not done within {allowed:g} s") from error
        raise
    finally:
        _DEADLINE.reset(token)


def with_timeout(
    seconds: float,
) -> Callable[[Callable[..., Awaitable[T] | T]], Callable[..., Awaitable[T]]]:
    """
    Return a decorator that cuts calls after *seconds*.

    A plain function runs in a thread and the decorated one is awaited: nobody can stop
    the thread, so what it returns too late is thrown away.
    """

    def decorate(
        function: Callable[..., Awaitable[T] | T],
    ) -> Callable[..., Awaitable[T]]:
        @wraps(function)
        async def limited(*args: Any, **kwargs: Any) -> Any:
            async with timeout(seconds):
                if inspect.iscoroutinefunction(function):
                    return await function(*args, **kwargs)
                return await asyncio.to_thread(function, *args, **kwargs)

        return limited

    return decorate
