"""
A bounded channel: who puts waits for room, who takes waits for items, and it can end.

`asyncio.Queue` with an end, which Python's own has from 3.13 on only.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from typing import Final, Generic, TypeVar, cast

from typing_extensions import override

__all__ = ["Channel"]

T = TypeVar("T")

_END: Final = object()


class Channel(AsyncIterator[T], Generic[T]):
    """
    Items from some tasks to others, each to one of them.

    It is an iterator for every task that takes, and ends for all of them.

    Args:
        size: Items that may lie in it, >= 1.

    Raises:
        ValueError: *size* is less.

    Concurrency:
        Any number of tasks of one event loop. A cancelled `put` has put nothing, and a
        cancelled take loses nothing.
    """

    def __init__(self, size: int = 1) -> None:
        if size < 1:
            raise ValueError("a channel holds one item at least")
        self._queue: asyncio.Queue[object] = asyncio.Queue(size)

    async def put(self, item: T) -> None:
        """Put *item* in, once there is room."""
        await self._queue.put(item)

    async def feed(self, source: AsyncIterable[T]) -> None:
        """Put all items of *source* in, and close it."""
        try:
            async for item in source:
                await self.put(item)
        finally:
            # a generator would else be closed whenever garbage is collected
            close = getattr(source, "aclose", None)
            if close is not None:
                await close()

    async def end(self) -> None:
        """Let it end behind what was put; nothing may be put later."""
        await self._queue.put(_END)

    @override
    async def __anext__(self) -> T:
        item = await self._queue.get()
        if item is _END:
            self._queue.put_nowait(_END)  # for the next one who takes
            raise StopAsyncIteration
        return cast("T", item)
