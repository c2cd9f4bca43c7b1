"""A deadline cuts what takes too long, and callees see it."""

import asyncio
import contextlib
import threading

import pytest

from service.resilience.timeout import (
    DeadlineExceeded,
    remaining,
    timeout,
    with_timeout,
)
from tests.support.virtual_time import in_virtual_time


async def forever():
    await asyncio.Event().wait()


async def test_what_takes_too_long_is_cut():
    """By an error that is a TimeoutError."""
    with pytest.raises(DeadlineExceeded, match=r"0\.01 s"):
        async with timeout(0.01):
            await forever()


async def test_what_is_done_in_time_is_left_alone():
    """And there is no deadline behind it."""
    async with timeout(60):
        inside = remaining()

    assert 59 < inside <= 60
    assert remaining() is None


async def test_inner_deadline_is_never_later_than_the_outer_one():
    """A callee can't allow itself more than its caller has."""
    async with timeout(10):
        async with timeout(60):
            long = remaining()
        async with timeout(1):
            short = remaining()
        again = remaining()

    assert long <= 10
    assert short <= 1
    assert 9 < again <= 10


async def test_cut_by_the_outer_deadline_is_a_time_out_for_the_inner_block_too():
    """A breaker between both must not take it for a caller that went away."""
    seen = []

    async def watched():
        try:
            async with timeout(60):
                await forever()
        except BaseException as error:
            seen.append(type(error))
            raise

    with pytest.raises(DeadlineExceeded):
        async with timeout(0.01):
            await watched()

    assert seen == [DeadlineExceeded]


async def test_time_out_of_something_else_stays_what_it_is():
    """Only the deadline of the block is told as such."""
    with pytest.raises(TimeoutError) as raised:
        async with timeout(60):
            raise TimeoutError("of the socket")

    assert not isinstance(raised.value, DeadlineExceeded)


async def test_cancelling_from_outside_is_no_time_out():
    """The caller went away."""

    @with_timeout(60)
    async def hang():
        await forever()

    task = asyncio.create_task(hang())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()


@pytest.mark.parametrize("seconds", [10, 15], ids=["with the deadline", "behind it"])
@pytest.mark.parametrize("blocks", [1, 2, 3])
@in_virtual_time
async def test_cancelling_from_outside_goes_through_a_deadline_that_is_over(
    blocks, seconds
):
    """Else a task that goes on after a time-out could not be ended."""
    loop = asyncio.get_running_loop()

    async def clean_up_slowly():
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(blocks):
                await stack.enter_async_context(timeout(10, clock=loop.time))
            try:
                await forever()
            finally:
                await asyncio.sleep(10)

    task = asyncio.create_task(clean_up_slowly())
    await asyncio.sleep(0)
    loop.call_at(seconds, task.cancel)
    await asyncio.wait([task])

    assert task.cancelled()


@in_virtual_time
async def test_cancelling_a_task_that_outlives_the_block_is_no_time_out():
    """The deadline that it has inherited is over, and nobody waits for it there."""

    @with_timeout(60)
    async def stay():
        try:
            await forever()
        finally:
            await asyncio.sleep(10)

    with contextlib.suppress(DeadlineExceeded):
        async with timeout(10, clock=asyncio.get_running_loop().time):
            task = asyncio.create_task(stay())
            await forever()
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()


async def test_plain_function_is_left_behind():
    """Nobody can stop a thread; its caller goes on."""
    release = threading.Event()

    @with_timeout(0.01)
    def hang():
        release.wait(30)

    with pytest.raises(DeadlineExceeded):
        await hang()
    release.set()


async def test_callee_in_a_thread_sees_the_deadline():
    """It goes along with the context."""

    @with_timeout(60)
    def look():
        return remaining()

    assert 0 < await look() <= 60


async def test_a_thousand_tasks_have_deadlines_of_their_own():
    """One that is over says nothing to the others."""

    @with_timeout(0.01)
    async def short():
        await forever()

    @with_timeout(60)
    async def long():
        await asyncio.sleep(0.02)
        return remaining()

    short_ones = [short() for _ in range(500)]
    long_ones = [long() for _ in range(500)]
    found = await asyncio.gather(*short_ones, *long_ones, return_exceptions=True)

    assert all(isinstance(each, DeadlineExceeded) for each in found[:500])
    assert all(50 < each < 60 for each in found[500:])


@in_virtual_time
async def test_deadline_keeps_to_the_clock_that_it_is_given():
    """An hour passes in a moment, for callees too."""
    clock = asyncio.get_running_loop().time
    events, seen = [], []

    async def report():
        async with timeout(3600, name="report", observe=events.append, clock=clock):
            await asyncio.sleep(3000)
            seen.append(remaining())
            async with timeout(60_000):
                await asyncio.sleep(500)
                seen.append(remaining())
                await forever()

    with pytest.raises(DeadlineExceeded):
        await report()

    assert seen == [600, 100]
    [event] = events
    assert (event.pattern, event.name, event.event) == ("timeout", "report", "expired")
    assert event.fields == {"seconds": 3600}
