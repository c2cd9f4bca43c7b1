"""So many pieces of work at a time, and none that outlives the block."""

import asyncio
import threading

import pytest

from service.concurrency.pool import WorkerPool


class Busy:
    """Work that knows how much of it runs."""

    def __init__(self):
        self.now = self.most = self.ended = 0
        self.go_on = asyncio.Event()

    async def work(self, n=0):
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.go_on.wait()
        finally:
            self.now -= 1
            self.ended += 1
        return n


async def turns(count=20):
    for _ in range(count):
        await asyncio.sleep(0)


async def test_no_more_runs_than_there_are_workers():
    """A thousand pieces, eight at a time; each result finds its future."""
    busy = Busy()
    busy.go_on.set()
    async with WorkerPool(8, backlog=10) as pool:
        futures = [await pool.submit(busy.work, n) for n in range(1000)]

    assert [future.result() for future in futures] == list(range(1000))
    assert busy.most <= 8


async def test_whoever_brings_more_waits():
    """One runs, two lie in the backlog, the next one waits outside."""
    busy = Busy()
    async with WorkerPool(1, backlog=2) as pool:
        for _ in range(3):
            await pool.submit(busy.work)
            await turns()
        waiting = asyncio.create_task(pool.submit(busy.work))
        await turns()
        held_up = not waiting.done()
        busy.go_on.set()
        await waiting

    assert held_up
    assert busy.ended == 4


async def test_plain_function_runs_in_a_thread():
    """The event loop goes on."""
    async with WorkerPool(1) as pool:
        future = await pool.submit(threading.current_thread)

        assert await future is not threading.main_thread()


async def test_error_of_the_work_reaches_who_waits_for_it():
    """The pool goes on."""

    async def broken():
        raise ValueError("broken")

    async def sound():
        return 1

    async with WorkerPool(1) as pool:
        one, other = await pool.submit(broken), await pool.submit(sound)
        with pytest.raises(ValueError, match="broken"):
            await one

        assert await other == 1


async def test_work_that_can_not_be_called_is_an_error_of_its_own():
    """Its worker goes on with the next piece."""

    async def work(n):
        return n

    async with asyncio.timeout(60), WorkerPool(1) as pool:
        wrong = await pool.submit(work)
        right = await pool.submit(work, 1)

        with pytest.raises(TypeError, match="argument"):
            await wrong
        assert await right == 1


async def test_error_of_the_block_cancels_what_has_not_ended():
    """Neither running nor waiting work outlives it."""
    busy = Busy()
    futures = []

    async def use_and_fail():
        async with WorkerPool(2, backlog=5) as pool:
            futures.extend([await pool.submit(busy.work) for _ in range(6)])
            await turns()
            raise KeyError

    with pytest.raises(KeyError):
        await use_and_fail()

    assert all(future.cancelled() for future in futures)
    assert busy.now == 0
    assert len(asyncio.all_tasks()) == 1


async def test_cancelled_future_cancels_its_work():
    """Running work is stopped, waiting work never begins."""
    busy = Busy()
    async with WorkerPool(1, backlog=2) as pool:
        running, waiting = [await pool.submit(busy.work) for _ in range(2)]
        await turns()
        running.cancel()
        waiting.cancel()
        await turns()
        busy.go_on.set()

    assert busy.ended == 1


async def test_pool_that_is_not_open_takes_nothing():
    """Before and after its block."""
    pool = WorkerPool(1)
    with pytest.raises(RuntimeError, match="not open"):
        await pool.submit(asyncio.sleep, 0)
    async with pool:
        pass
    with pytest.raises(RuntimeError, match="not open"):
        await pool.submit(asyncio.sleep, 0)
