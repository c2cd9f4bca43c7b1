"""One timer limits many tasks and swallows no cancellation that is not its own."""

import asyncio
import time

import pytest

from service.server.deadlines import Deadlines, taken_back


async def limited(deadlines: Deadlines, seconds: float) -> str:
    task = deadlines.begin(time.monotonic() + seconds)
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        if not deadlines.finish(task) or not taken_back():
            raise
        return "expired"


async def test_each_task_expires_at_its_own_limit():
    """Short limits expire while long ones go on."""
    deadlines = Deadlines()
    short = [asyncio.create_task(limited(deadlines, 0.01)) for _ in range(3)]
    long = asyncio.create_task(limited(deadlines, 60))

    assert await asyncio.gather(*short) == ["expired"] * 3
    assert not long.done()
    long.cancel()
    with pytest.raises(asyncio.CancelledError):
        await long


async def test_task_that_finishes_in_time_is_left_alone():
    """A limit that was taken off does nothing later."""
    deadlines = Deadlines()
    deadlines.finish(deadlines.begin(time.monotonic() + 0.01))

    await asyncio.sleep(0.12)

    assert asyncio.current_task().cancelling() == 0


async def test_foreign_cancellation_passes():
    """Who cancels the task from outside is obeyed."""
    task = asyncio.create_task(limited(Deadlines(), 60))
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
