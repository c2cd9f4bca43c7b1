"""
Fan-in: many sources, one stream.

    async with fan_in(orders, payments) as events:
        async for event in events:
            ...

Source: the pattern of this name in Titmus, "Cloud Native Go", chapter 4.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterable, AsyncIterator
from typing import TypeVar

from service.concurrency.channel import Channel
from service.concurrency.scope import task_scope

__all__ = ["fan_in"]

T = TypeVar("T")


@contextlib.asynccontextmanager
async def fan_in(
    *sources: AsyncIterable[T], buffer: int = 1
) -> AsyncIterator[AsyncIterator[T]]:
    """
    Give what all *sources* give, as it comes; it ends when all of them have ended.

    The order within a source is kept, between sources there is none. A source whose
    items nobody takes waits: that is the back-pressure.

    Args:
        sources: Each is read by a task of its own.
        buffer: Items that may lie ready, >= 1.

    Raises:
        Exception: The first error of a source or of the block; the other sources are
            cancelled and closed.

    Concurrency:
        No reading task outlives the block.
    """
    channel: Channel[T] = Channel(buffer)
    async with task_scope() as tasks:
        readers = [tasks.create_task(channel.feed(source)) for source in sources]
        ending = tasks.create_task(_end_after(readers, channel))
        try:
            yield channel
        finally:
            for task in (*readers, ending):
                task.cancel()


async def _end_after(readers: list[asyncio.Task[None]], channel: Channel[T]) -> None:
    if readers:
        await asyncio.wait(readers)
    await channel.end()
