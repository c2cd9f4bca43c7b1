"""
What patterns that stand before a call have in common: three forms of use.

    @breaker                            a decorator, for coroutine and plain functions
    async def fetch(): ...

    with breaker.guarded(): ...         a block, in tasks and in threads
    await breaker.call(fetch, url)      one call
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

__all__ = ["Guard"]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Guard(ABC):
    """A pattern that lets a call in, or raises, and sees what comes of it."""

    __slots__ = ()

    @abstractmethod
    def guarded(self) -> AbstractContextManager[object]:
        """Return the block around one call."""

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return *function* with every call guarded."""
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def guarded(*args: P.args, **kwargs: P.kwargs) -> Any:
                with self.guarded():
                    return await function(*args, **kwargs)

            return cast("Callable[P, R]", guarded)

        @wraps(function)
        def guarded_plain(*args: P.args, **kwargs: P.kwargs) -> R:
            with self.guarded():
                return function(*args, **kwargs)

        return guarded_plain

    async def call(
        self, function: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any
    ) -> T:
        """Return what one guarded call of *function* gives."""
        with self.guarded():
            return await function(*args, **kwargs)
