"""A value comes once, for any number of waiters in tasks and threads."""

import asyncio
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.concurrency.future import AlreadySet, Future
from service.concurrency.scope import task_scope


async def test_all_waiters_get_the_value():
    """A thousand that came before, and one that comes after."""
    future = Future()

    async def wait():
        return await future

    waiters = [asyncio.create_task(wait()) for _ in range(1000)]
    await asyncio.sleep(0)
    future.set_result("value")

    assert await asyncio.gather(*waiters) == ["value"] * 1000
    assert await future == "value"
    assert future.done


async def test_waiter_that_gives_up_takes_nothing_from_the_others():
    """Cancelling one leaves the future as it is, and nothing behind."""
    future = Future()

    async def wait():
        return await future

    one, other = (asyncio.create_task(wait()) for _ in range(2))
    await asyncio.sleep(0)
    one.cancel()
    await asyncio.wait([one])
    future.set_result(1)

    assert await other == 1
    assert one.cancelled()
    assert future._wakers == []


async def test_thread_wakes_tasks():
    """The value may come from a thread."""
    future = Future()
    thread = threading.Thread(target=future.set_result, args=(7,))
    thread.start()

    assert await future == 7
    thread.join()


def test_threads_and_loops_wait_for_the_same_value():
    """Some block, some run event loops of their own."""
    future = Future()

    async def wait():
        return await future

    with ThreadPoolExecutor(40) as pool:
        blocked = [pool.submit(future.result, 30) for _ in range(20)]
        loops = [pool.submit(asyncio.run, wait()) for _ in range(20)]
        future.set_result("value")

    assert {each.result() for each in (*blocked, *loops)} == {"value"}


def test_second_value_is_refused():
    """Of many that set it, one does."""
    future = Future()

    def try_to(n):
        try:
            future.set_result(n)
        except AlreadySet:
            return None
        return n

    with ThreadPoolExecutor(16) as pool:
        winners = [n for n in pool.map(try_to, range(1000)) if n is not None]

    assert winners == [future.result()]
    with pytest.raises(AlreadySet):
        future.set_error(ValueError())


def test_error_reaches_every_waiter():
    """Again and again."""
    future = Future()
    future.set_error(ValueError("no value"))

    for _ in range(2):
        with pytest.raises(ValueError, match="no value"):
            future.result()


def test_error_keeps_nothing_of_those_it_reached():
    """Else it would hold on to all that they had, one after the other."""
    future, error = Future(), RuntimeError("for all")
    future.set_error(error)

    def wait():
        with pytest.raises(RuntimeError):
            future.result()
        return len([*traceback.walk_tb(error.__traceback__)])

    assert len({wait() for _ in range(3)}) == 1


def test_value_that_does_not_come_is_a_time_out():
    """A thread need not wait for ever."""
    with pytest.raises(TimeoutError):
        Future().result(0.001)


async def test_work_of_a_scope_becomes_a_future():
    """It runs once, whoever waits."""
    runs = []

    async def work():
        runs.append(1)
        return "done"

    async with task_scope() as tasks:
        future = Future.of(work(), tasks=tasks)
        found = await future, await future

    assert found == ("done", "done")
    assert runs == [1]


async def test_failure_of_the_work_reaches_waiters_and_scope():
    """No error is lost."""

    async def work():
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        async with task_scope() as tasks:
            future = Future.of(work(), tasks=tasks)
    with pytest.raises(ValueError, match="broken"):
        await future


async def test_work_that_never_begins_leaves_no_waiter_behind():
    """A scope that fails at once cancels its tasks before their first step."""

    async def work():
        return 1

    futures = []

    async def scope():
        async with task_scope() as tasks:
            futures.append(Future.of(work(), tasks=tasks))
            futures.append(Future.of(asyncio.Future(), tasks=tasks))
            raise ValueError("at once")

    with pytest.raises(ValueError, match="at once"):
        await scope()

    for future in futures:
        with pytest.raises(asyncio.CancelledError):
            future.result(timeout=5)


async def test_work_in_a_thread_becomes_a_future():
    """Tasks and threads wait for it, while it blocks nobody but its own thread."""
    release = threading.Event()

    def work():
        release.wait()
        return threading.current_thread().name

    future = Future.in_thread(work, name="apart")
    in_task = asyncio.ensure_future(future)
    in_thread = asyncio.create_task(asyncio.to_thread(future.result, 30))
    await asyncio.sleep(0)
    assert not in_task.done()
    release.set()

    assert await asyncio.gather(in_task, in_thread) == ["apart", "apart"]


async def test_failure_in_a_thread_reaches_whoever_waits():
    """It is raised where the value would have come."""

    def work():
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await Future.in_thread(work, name="apart")


def test_thread_that_nobody_waits_for_holds_up_nobody():
    """A loop ends while the work goes on; its end finds nobody, and harms nobody."""
    release = threading.Event()

    async def give_up():
        future = Future.in_thread(release.wait, name="apart")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(future, 0.001)
        waiter = asyncio.ensure_future(future)
        await asyncio.sleep(0)
        return future, waiter

    future, waiter = asyncio.run(give_up())
    release.set()

    assert future.result(30) is True
    assert waiter.cancelled()
