"""
Worker pool: so many pieces of work at a time, and whoever brings more waits.

    async with WorkerPool(4) as pool:
        thumbnails = [await pool.submit(shrink, image) for image in images]
        for thumbnail in thumbnails:
            store(await thumbnail)

Work is a coroutine function or a plain one, which runs in a thread.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

from service.concurrency.channel import Channel

__all__ = ["WorkerPool"]

T = TypeVar("T")


class WorkerPool:
    """
    Workers that take work from a bounded backlog.

    Leaving the block waits for all work that was taken in; leaving it by an error
    cancels what has not ended.

    Args:
        workers: Pieces of work that run at once, >= 1.
        backlog: Pieces that may wait, >= 1.

    Raises:
        ValueError: One of them is less.

    Concurrency:
        Tasks of one event loop. A thread can't be cancelled: its result is lost, and
        the loop's executor waits for it.
    """

    def __init__(self, workers: int, *, backlog: int = 1) -> None:
        if workers < 1:
            raise ValueError("a pool has one worker at least")
        self._count = workers
        self._work: Channel[tuple[Callable[[], Awaitable[Any]], asyncio.Future[Any]]]
        self._work = Channel(backlog)
        self._workers: list[asyncio.Task[None]] = []
        self._pending: set[asyncio.Future[Any]] = set()

    async def __aenter__(self) -> Self:
        self._workers = [
            asyncio.create_task(self._run(), name=f"worker-{n}")
            for n in range(self._count)
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                await self._work.end()
                await asyncio.gather(*self._workers)
        finally:
            await self._cancel()

    async def submit(
        self, work: Callable[..., Awaitable[T] | T], *arguments: Any
    ) -> asyncio.Future[T]:
        """
        Hand *work* in, once the backlog has room, and return the future of its result.

        Cancelling the future cancels the work, whether it has begun or not.

        Raises:
            RuntimeError: The pool's block has not begun, or has ended.
        """
        if not self._workers:
            raise RuntimeError("the pool is not open")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._pending.add(future)
        future.add_done_callback(self._pending.discard)
        try:
            await self._work.put((_awaitable(work, arguments), future))
        except BaseException:
            future.cancel()
            raise
        return future

    async def _run(self) -> None:
        async for work, future in self._work:
            if future.done():
                continue
            task = asyncio.ensure_future(work())
            future.add_done_callback(partial(_cancel_with, task))
            try:
                await asyncio.wait([task])
            finally:
                await _end(task)
            _settle(future, task)

    async def _cancel(self) -> None:
        for future in list(self._pending):
            future.cancel()
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        self._workers = []


def _awaitable(
    work: Callable[..., Any], arguments: tuple[Any, ...]
) -> Callable[[], Awaitable[Any]]:
    if not inspect.iscoroutinefunction(work):
        return partial(asyncio.to_thread, work, *arguments)

    async def called() -> Any:  # wrong arguments are the work's error too
        return await work(*arguments)

    return called


def _cancel_with(task: asyncio.Task[Any], future: asyncio.Future[Any]) -> None:
    if future.cancelled():
        task.cancel()


async def _end(task: asyncio.Future[Any]) -> None:
    """Cancel what still runs, and wait until it has ended."""
    if not task.done():
        task.cancel()
        await asyncio.wait([task])


def _settle(future: asyncio.Future[Any], task: asyncio.Future[Any]) -> None:
    """Give the waiter what the work has come to."""
    if future.done():
        return
    if task.cancelled():
        future.cancel()
    elif (error := task.exception()) is not None:
        future.set_exception(error)
    else:
        future.set_result(task.result())
