"""Many sources become one stream, and nothing outlives the block."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.concurrency.fan_in import fan_in


async def source(items, *, closed=None):
    """Give items, one at each turn of the loop."""
    try:
        for item in items:
            await asyncio.sleep(0)
            yield item
    finally:
        if closed is not None:
            closed.append(True)


async def endless(closed):
    try:
        while True:
            await asyncio.sleep(0)
            yield "more"
    finally:
        closed.append(True)


async def read_all(*sources):
    async with fan_in(*sources) as merged:
        return [item async for item in merged]


async def read_and_fail(*sources):
    async with fan_in(*sources) as merged:
        async for _ in merged:
            raise KeyError


async def failing():
    yield "first"
    raise ValueError("source is broken")


@given(
    sources=st.lists(st.lists(st.integers(), max_size=20), max_size=6),
    buffer=st.integers(1, 5),
)
def test_everything_arrives_once_and_in_the_order_of_its_source(sources, buffer):
    """Nothing is lost, doubled, or overtaken by what its own source gave later."""

    async def run():
        numbered = [[(n, item) for item in items] for n, items in enumerate(sources)]
        async with fan_in(*map(source, numbered), buffer=buffer) as merged:
            return [pair async for pair in merged]

    found = asyncio.run(run())

    for n, items in enumerate(sources):
        assert [item for number, item in found if number == n] == items
    assert len(found) == sum(map(len, sources))


async def test_a_thousand_sources_arrive():
    """Each has a reader of its own."""
    async with fan_in(*(source([n]) for n in range(1000))) as merged:
        found = [item async for item in merged]

    assert sorted(found) == list(range(1000))


async def test_leaving_early_closes_the_sources():
    """Whoever has seen enough leaves; no reader stays behind."""
    closed = []
    async with fan_in(endless(closed), endless(closed)) as merged:
        async for _ in merged:
            break

    assert closed == [True, True]
    assert len(asyncio.all_tasks()) == 1


async def test_first_error_cancels_the_other_sources():
    """It comes out by its own type, not in a group."""
    closed = []
    with pytest.raises(ValueError, match="source is broken"):
        await read_all(endless(closed), failing())

    assert closed == [True]
    assert len(asyncio.all_tasks()) == 1


async def test_error_of_the_block_comes_out_as_it_is():
    """The caller's own error is not wrapped either."""
    closed = []
    with pytest.raises(KeyError):
        await read_and_fail(endless(closed))

    assert closed == [True]


async def test_source_waits_while_nobody_takes():
    """Not more than the buffer, one that is being put, and one that was taken."""
    given_out = []

    async def watched():
        for n in range(100):
            given_out.append(n)
            yield n

    async with fan_in(watched(), buffer=3) as merged:
        await anext(merged)
        for _ in range(50):
            await asyncio.sleep(0)

        assert len(given_out) == 5
