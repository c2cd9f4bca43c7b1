"""
Fan-out: one source, many takers, each item to one of them.

    async with fan_out(jobs, 4) as streams, asyncio.TaskGroup() as group:
        for stream in streams:
            group.create_task(work(stream))

Source: the pattern of this name in Titmus, "Cloud Native Go", chapter 4.
"""

import contextlib
from collections.abc import AsyncIterable, AsyncIterator
from typing import TypeVar

from service.concurrency.channel import Channel
from service.concurrency.scope import task_scope

__all__ = ["fan_out"]

T = TypeVar("T")


@contextlib.asynccontextmanager
async def fan_out(
    source: AsyncIterable[T], count: int, *, buffer: int = 1
) -> AsyncIterator[list[AsyncIterator[T]]]:
    """
    Give *count* streams that share the items of *source*.

    Whoever is free takes the next item, so a slow taker holds up nobody. The source is
    read no further than *buffer* items ahead: that is the back-pressure. All streams
    end with the source.

    Args:
        source: Read by one task.
        count: Streams, >= 1.
        buffer: Items that may lie ready, >= 1.

    Raises:
        Exception: The error of the source or of the block.

    Concurrency:
        The reading task does not outlive the block.
    """
    channel: Channel[T] = Channel(buffer)
    async with task_scope() as tasks:
        reader = tasks.create_task(_read(source, channel))
        try:
            yield [channel for _ in range(count)]
        finally:
            reader.cancel()


async def _read(source: AsyncIterable[T], channel: Channel[T]) -> None:
    await channel.feed(source)
    await channel.end()
