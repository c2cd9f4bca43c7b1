"""Tasks end when they are to, though a cancellation is lost."""

import asyncio
import contextlib

import pytest

from service.concurrency import cancelling
from service.concurrency.cancelling import cancelled


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """Let none wait for a second."""
    monkeypatch.setattr(cancelling, "_AGAIN", 0.01)


async def test_task_that_lost_a_cancellation_is_cancelled_again():
    """As by `asyncio.wait_for`, whose work was done in that moment."""
    lost = 0

    async def loop():
        nonlocal lost
        while lost < 3:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)
            lost += 1
        await asyncio.sleep(60)

    task = asyncio.create_task(loop())
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await cancelled([task])
    assert task.cancelled()
    assert lost == 3


async def test_what_tasks_raise_at_their_end_is_dropped():
    """Also of those that had ended before, and of none at all."""

    async def fail():
        try:
            await asyncio.sleep(60)
        finally:
            raise RuntimeError

    async def end():
        return None

    tasks = [asyncio.create_task(each()) for each in (fail, end, asyncio.Event().wait)]
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await cancelled(tasks)
        await cancelled([])
    assert all(each.done() for each in tasks)
