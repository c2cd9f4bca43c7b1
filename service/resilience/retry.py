"""
Retry: what failed by chance is tried again, within bounds.

    @Retry(attempts=4)
    async def fetch(): ...

    async for attempt in Retry().attempts():
        with attempt:
            answer = await fetch()

Retry only what may happen twice: what changes nothing (GET), what has the same effect
twice (PUT, DELETE), or what carries an idempotency key. A call is tried again when its
error is one that passes (`TransientError`, `TimeoutError`, `ConnectionError`), there is
an attempt left, the deadline leaves time for the wait, and the budget has a retry left.
An error that says when to come again (`retry_after`) is believed.

The budget is what keeps retries from becoming the overload: with 10 %, a peer that is
down gets 1.1 times its usual load and not `attempts` times.

Source: Beyer et al., "Site Reliability Engineering", chapter 22 (budgets); the back-off
is in `backoff`.
"""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from functools import wraps
from threading import Lock
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast

from service.resilience.backoff import Backoff
from service.resilience.events import Event, Observe, ignore
from service.resilience.timeout import remaining

__all__ = ["Attempts", "Retry", "RetryBudget", "TransientError", "is_transient"]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class TransientError(Exception):
    """
    A failure that passes: the same call may succeed soon.

    Attributes:
        retry_after: Seconds after which the peer wants to be asked again, if it said.
    """

    def __init__(self, *args: object, retry_after: float | None = None) -> None:
        super().__init__(*args)
        self.retry_after = retry_after


def is_transient(error: Exception) -> bool:
    """Whether the same call may succeed soon."""
    return isinstance(error, TransientError | TimeoutError | ConnectionError)


class RetryBudget:
    """
    Retries that all calls of a peer share.

    Args:
        ratio: Retries for each call, >= 0.
        burst: Retries that may lie ready, >= 0; it begins full.

    Concurrency:
        Any thread.
    """

    def __init__(self, ratio: float = 0.1, *, burst: float = 10.0) -> None:
        self._ratio = ratio
        self._burst = self._left = burst
        self._lock = Lock()

    def earn(self) -> None:
        """Count a call."""
        with self._lock:
            self._left = min(self._burst, self._left + self._ratio)

    def spend(self) -> bool:
        """Take a retry, if one is left."""
        with self._lock:
            if self._left < 1.0 - 1e-9:  # ten tenths are one
                return False
            self._left -= 1.0
            return True


class Retry:
    """
    Tries again.

    Args:
        name: What is called, for events.
        attempts: Most calls, >= 1.
        backoff: Waits between them.
        retry_on: Whether an error passes.
        budget: Shared with all who call the same peer.
        is_free: Whether an error cost the peer nothing, as one of which it has not
            heard: trying again then takes nothing of the budget.
        retry_after_most: Seconds beyond which a peer's `retry_after` is not waited for.
        observe: Told of `retried` and `gave_up`.
        sleep: Waits in a task.
        sleep_plain: Waits in a thread.

    Concurrency:
        Any number of calls at once; cancelling one ends its wait too.
    """

    def __init__(
        self,
        name: str = "",
        *,
        attempts: int = 3,
        backoff: Backoff | None = None,
        retry_on: Callable[[Exception], bool] = is_transient,
        budget: RetryBudget | None = None,
        is_free: Callable[[Exception], bool] = lambda _error: False,
        retry_after_most: float = 60.0,
        observe: Observe = ignore,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        sleep_plain: Callable[[float], None] = time.sleep,
    ) -> None:
        if attempts < 1:
            raise ValueError("there is one attempt at least")
        self.name = name
        self.most = attempts
        self.backoff = backoff or Backoff()
        self.retry_on = retry_on
        self.budget = budget
        self.is_free = is_free
        self.retry_after_most = retry_after_most
        self.observe = observe
        self.sleep = sleep
        self.sleep_plain = sleep_plain

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return *function*, a coroutine function or a plain one, with retries."""
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def retried(*args: P.args, **kwargs: P.kwargs) -> Any:
                return await self.call(function, *args, **kwargs)

            return cast("Callable[P, R]", retried)

        @wraps(function)
        def retried_plain(*args: P.args, **kwargs: P.kwargs) -> R:
            for attempt in self.attempts():
                with attempt:
                    return function(*args, **kwargs)
            raise AssertionError("the last attempt returns or raises")

        return retried_plain

    async def call(
        self, function: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any
    ) -> T:
        """Return what *function* gives in the end, or raise its last error."""
        async for attempt in self.attempts():
            with attempt:
                return await function(*args, **kwargs)
        raise AssertionError("the last attempt returns or raises")

    def attempts(self) -> "Attempts":
        """Return the attempts of one call: `for` in threads, `async for` in tasks."""
        if self.budget is not None:
            self.budget.earn()
        return Attempts(self)


class Attempts:
    """
    The attempts of one call: each is the same block, entered again.

    Attributes:
        number: Which attempt it is, from 1.
    """

    __slots__ = ("_retry", "_wait", "_waits", "number")

    def __init__(self, retry: Retry) -> None:
        self._retry = retry
        self._waits = retry.backoff.waits()
        self._wait: float | None = 0.0
        self.number = 0

    def __iter__(self) -> Self:
        return self

    def __aiter__(self) -> Self:
        return self

    def __next__(self) -> Self:
        if self._wait is None:
            raise StopIteration
        if self._wait:
            self._retry.sleep_plain(self._wait)
        return self

    async def __anext__(self) -> Self:
        if self._wait is None:
            raise StopAsyncIteration
        if self._wait:
            await self._retry.sleep(self._wait)
        return self

    def __enter__(self) -> Self:
        self.number += 1
        self._wait = None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """Swallow an error that is tried again."""
        if not isinstance(error, Exception) or not self._retry.retry_on(error):
            return False
        wait, why_not = self._plan(error)
        if why_not:
            self._tell("gave_up", attempts=self.number, reason=why_not)
            return False
        self._wait = wait
        self._tell("retried", attempt=self.number, wait=wait, error=repr(error))
        return True

    def _plan(self, error: Exception) -> tuple[float, str]:
        """Return the seconds to wait, and why not, if not."""
        wait = next(self._waits)
        asked: float | None = getattr(error, "retry_after", None)
        if asked is not None:
            wait = max(wait, asked)
        left = remaining()
        if self.number >= self._retry.most:
            return wait, "attempts"
        if asked is not None and asked > self._retry.retry_after_most:
            return wait, "retry_after"
        if left is not None and left <= wait:
            return wait, "deadline"
        return wait, "" if self._is_paid(error) else "budget"

    def _is_paid(self, error: Exception) -> bool:
        budget = self._retry.budget
        return budget is None or self._retry.is_free(error) or budget.spend()

    def _tell(self, event: str, **fields: float | str) -> None:
        self._retry.observe(Event("retry", self._retry.name, event, dict(fields)))
