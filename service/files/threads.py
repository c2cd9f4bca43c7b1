"""
Threads for calls that wait for a disk, so that the event loop never does.

A task that is cancelled while its thread works waits for the thread: what the thread
holds, such as a descriptor, must not be closed or given to somebody else before.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

__all__ = ["Threads"]

P = ParamSpec("P")
R = TypeVar("R")


class Threads:
    """
    A number of threads.

    Args:
        number: How many calls may wait for the disk at once.

    Concurrency: tasks of any event loop.
    """

    def __init__(self, number: int) -> None:
        self._pool = ThreadPoolExecutor(number, thread_name_prefix="files")

    async def run(
        self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Return what *function* returns in a thread, or raise what it raises."""
        future = self._start(function, *args, **kwargs)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await _ended(future)
            raise

    async def acquire(
        self, undo: Callable[[R], object], function: Callable[[], R]
    ) -> R:
        """
        Return what *function* takes hold of; when cancelled, *undo* lets go of it.

        Args:
            undo: Gets what was taken hold of and can't be handed over.
            function: What is run in a thread.
        """
        future = self._start(function)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await _ended(future)
            if not future.cancelled() and future.exception() is None:
                undo(future.result())
            raise

    def close(self) -> None:
        """Let the threads end, once they are through."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _start(
        self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> "asyncio.Future[R]":
        return asyncio.wrap_future(self._pool.submit(function, *args, **kwargs))


async def _ended(future: "asyncio.Future[R]") -> None:
    """Wait until *future* is done, however often this task is cancelled."""
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            continue  # the first one is raised again by the caller
    if not future.cancelled():
        future.exception()  # looked at, so that nobody is told that it was not
