"""
Patterns put together, in the one order in which they make sense.

    fallback          answers when everything below has failed
      timeout         bounds the whole, waits between attempts included
        retry         each attempt passes all that follows
          breaker     an open circuit costs no room and no connection
            bulkhead  counts what is really under way
              attempt_timeout   bounds one attempt, so that a retry has time left
                hedge           asks again while an answer is late

An open circuit and a full bulkhead are not retried unless `retry.retry_on` says so.
"""

import contextlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any, TypeVar

from service.resilience.bulkhead import Bulkhead
from service.resilience.circuit_breaker import CircuitBreaker
from service.resilience.fallback import Fallback
from service.resilience.guarding import Guard
from service.resilience.hedge import Hedge
from service.resilience.retry import Retry
from service.resilience.timeout import timeout

__all__ = ["Policy"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """
    How calls of one peer are made; what is None is left out.

    Attributes:
        fallback: Answers in place of a failure.
        timeout: Seconds for everything.
        retry: Tries again.
        breaker: Refuses while the peer is ill.
        bulkhead: Bounds the calls under way.
        attempt_timeout: Seconds for one attempt.
        hedge: Asks again while an answer is late.

    Concurrency:
        Any number of calls at once, in tasks of one event loop.
    """

    fallback: Fallback[Any] | None = None
    timeout: float | None = None
    retry: Retry | None = None
    breaker: CircuitBreaker | None = None
    bulkhead: Bulkhead | None = None
    attempt_timeout: float | None = None
    hedge: Hedge | None = None

    def __call__(
        self, function: Callable[..., Awaitable[T]]
    ) -> Callable[..., Awaitable[T]]:
        """Return *function*, a coroutine function, under this policy."""

        @wraps(function)
        async def governed(*args: Any, **kwargs: Any) -> T:
            return await self.call(function, *args, **kwargs)

        return governed

    async def call(
        self, function: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any
    ) -> T:
        """Return what *function* gives in the end."""
        whole = partial(self._bounded, function, *args, **kwargs)
        if self.fallback is None:
            return await whole()
        answer: T = await self.fallback.call(whole)
        return answer

    async def _bounded(
        self, function: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any
    ) -> T:
        attempt = partial(self._attempt, function, *args, **kwargs)
        async with _within(self.timeout):
            return await (attempt() if self.retry is None else self.retry.call(attempt))

    async def _attempt(
        self, function: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any
    ) -> T:
        with _passed(self.breaker), _passed(self.bulkhead):
            async with _within(self.attempt_timeout):
                if self.hedge is None:
                    return await function(*args, **kwargs)
                return await self.hedge.call(function, *args, **kwargs)


def _within(seconds: float | None) -> AbstractAsyncContextManager[None]:
    return contextlib.nullcontext() if seconds is None else timeout(seconds)


def _passed(guard: Guard | None) -> AbstractContextManager[object]:
    return contextlib.nullcontext() if guard is None else guard.guarded()
