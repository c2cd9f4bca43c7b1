"""One source, many takers: each item to one of them."""

import asyncio

import pytest

from service.concurrency.fan_out import fan_out
from service.concurrency.scope import task_scope


async def numbers(count):
    for n in range(count):
        yield n


async def take(stream, into):
    async for item in stream:
        into.append(item)
        await asyncio.sleep(0)


async def test_each_item_goes_to_one_taker():
    """A thousand takers share ten thousand items."""
    found = [[] for _ in range(1000)]
    async with fan_out(numbers(10_000), 1000) as streams, task_scope() as tasks:
        for stream, into in zip(streams, found, strict=True):
            tasks.create_task(take(stream, into))

    assert sorted(item for each in found for item in each) == list(range(10_000))


async def test_slow_taker_holds_up_nobody():
    """The others take what it does not."""
    async with fan_out(numbers(100), 2) as (slow, other):
        first = await anext(slow)
        others = [item async for item in other]

    assert sorted([first, *others]) == list(range(100))


async def test_source_is_read_no_further_than_the_buffer():
    """Back-pressure reaches the source."""
    read = []

    async def watched():
        for n in range(100):
            read.append(n)
            yield n

    async with fan_out(watched(), 2, buffer=4):
        for _ in range(50):
            await asyncio.sleep(0)

        assert len(read) == 5


async def test_error_of_the_source_reaches_the_takers():
    """It cancels them and comes out by its own type."""

    async def broken():
        yield 1
        raise ValueError("source is broken")

    with pytest.raises(ValueError, match="source is broken"):
        async with fan_out(broken(), 2) as streams:
            await take(streams[0], [])

    assert len(asyncio.all_tasks()) == 1


async def test_leaving_early_closes_the_source():
    """No reader stays behind."""
    closed = []

    async def endless():
        try:
            while True:
                yield 1
        finally:
            closed.append(True)

    async with fan_out(endless(), 2) as streams:
        await anext(streams[0])

    assert closed == [True]
