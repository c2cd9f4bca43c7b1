"""Operations of a store within their time, tried again after failures that pass."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from service.phonebook.store import StoreUnavailable
from service.resilience.backoff import Backoff
from service.resilience.retry import Retry

__all__ = ["Attempts"]

T = TypeVar("T")


class Attempts:
    """
    How often an operation is tried, and how long it may take.

    Args:
        most: Attempts of one operation, >= 1.
        timeout: Gives the seconds that all of them may take.
        backoff: The waits between them.

    Concurrency:
        Any number of operations at once, in one event loop.
    """

    def __init__(
        self, most: int, timeout: Callable[[], float], backoff: Backoff | None = None
    ) -> None:
        self._timeout = timeout
        self._retry = Retry(
            "phonebook", attempts=most, backoff=backoff, retry_on=_passes
        )
        self._given_up: set[asyncio.Future[Any]] = set()

    async def done(self, work: Callable[[], Awaitable[T]]) -> T:
        """
        Return what *work* comes to.

        Raises:
            StoreUnavailable: The last failure, or that it takes too long.
            Exception: What else *work* raises.
        """
        failed: StoreUnavailable | None = None

        async def attempt() -> T:
            nonlocal failed
            try:
                return await work()
            except StoreUnavailable as error:
                failed = error
                raise

        task = asyncio.ensure_future(self._retry.call(attempt))
        try:
            await asyncio.wait({task}, timeout=self._timeout())
        finally:
            # a server that hangs does not even hear that it is given up: the driver
            # waits for it, and nobody for the driver
            if not task.done():
                task.cancel()
                self._given_up.add(task)
                task.add_done_callback(self._forget)
        if task.done():
            return task.result()
        raise failed or StoreUnavailable("it takes too long")

    def _forget(self, task: asyncio.Future[Any]) -> None:
        self._given_up.discard(task)
        if not task.cancelled():
            task.exception()  # heard, so that nobody is told that it was not


def _passes(error: Exception) -> bool:
    return isinstance(error, StoreUnavailable) and error.again
