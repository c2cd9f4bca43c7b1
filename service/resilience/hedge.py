"""
Hedged request: when the answer is late, ask again, and take what comes first.

It cuts the tail of the latency for a few more calls: with the delay at the 95th
percentile, one call in twenty is made twice. Only for what may happen twice.

Source: Dean and Barroso, "The Tail at Scale", CACM 56/2, 2013.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, TypeVar

from service.resilience.events import Event, Observe, ignore

__all__ = ["Hedge"]

T = TypeVar("T")


class Hedge:
    """
    Asks again while an answer is late.

    Args:
        delay: Gives the seconds after which an answer is late, such as a quantile of
            the latest ones; or the seconds themselves.
        attempts: Most calls under way at once, >= 1.
        name: What is called, for events.
        allowed: Asked before each further call, such as a retry budget's `spend`.
        observe: Told of `hedged` and `won`, with the number of the attempt.

    Raises:
        ValueError: *attempts* is below 1.

    Concurrency:
        Any number of calls at once. No call outlives the one that it is a part of: the
        losers are cancelled and waited for.
    """

    def __init__(
        self,
        delay: float | Callable[[], float],
        *,
        attempts: int = 2,
        name: str = "",
        allowed: Callable[[], bool] = lambda: True,
        observe: Observe = ignore,
    ) -> None:
        if attempts < 1:
            raise ValueError("there is one attempt at least")
        self._delay = delay if callable(delay) else lambda: delay
        self._attempts = attempts
        self._name = name
        self._allowed = allowed
        self._observe = observe

    def __call__(
        self, function: Callable[..., Awaitable[T]]
    ) -> Callable[..., Awaitable[T]]:
        """Return *function*, a coroutine function, hedged."""

        @wraps(function)
        async def hedged(*args: Any, **kwargs: Any) -> T:
            return await self.call(function, *args, **kwargs)

        return hedged

    async def call(
        self, function: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any
    ) -> T:
        """
        Return the first answer that is none of failure.

        Raises:
            Exception: The error of the last call, when all that were made have failed.
        """
        calls: list[asyncio.Future[T]] = []
        try:
            while True:
                calls.append(asyncio.ensure_future(function(*args, **kwargs)))
                winner = await self._first(calls)
                if winner is not None:
                    self._tell("won", attempt=calls.index(winner) + 1)
                    return winner.result()
                self._tell("hedged", attempt=len(calls) + 1)
        finally:
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)

    async def _first(self, calls: list[asyncio.Future[T]]) -> asyncio.Future[T] | None:
        """Return the call whose outcome counts, or None when another must be made."""
        pending = {call for call in calls if not call.done()}
        more = len(calls) < self._attempts
        while pending:
            patience = self._delay() if more else None
            done, pending = await asyncio.wait(
                pending, timeout=patience, return_when=asyncio.FIRST_COMPLETED
            )
            good = [call for call in done if _succeeded(call)]
            if good:
                return good[0]
            if not done and more:
                if self._allowed():
                    return None
                more = False
        return calls[-1]

    def _tell(self, event: str, **fields: int) -> None:
        self._observe(Event("hedge", self._name, event, dict(fields)))


def _succeeded(call: asyncio.Future[Any]) -> bool:
    return not call.cancelled() and call.exception() is None
