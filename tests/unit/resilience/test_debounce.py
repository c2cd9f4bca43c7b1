"""Of calls that come close upon each other one is made."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.resilience.debounce import Debounce, PlainDebounce, debounced
from tests.support.clock import Clock
from tests.support.virtual_time import in_virtual_time


class Work:
    def __init__(self):
        self.made = []

    async def __call__(self, value):
        await asyncio.sleep(0)
        self.made.append(value)
        if value == "broken":
            raise ValueError("broken")
        return value.upper()


@pytest.fixture
def work():
    return Work()


@in_virtual_time
async def test_trailing_makes_the_last_call_for_all(work):
    """Everybody gets its result, a thousand of them too."""
    debounce = Debounce(work, 0.5)
    found = await asyncio.gather(*(debounce(f"call {n}") for n in range(1000)))

    assert work.made == ["call 999"]
    assert set(found) == {"CALL 999"}


@in_virtual_time
async def test_leading_makes_the_first_call_for_all(work):
    """Those that follow get its result at once."""
    debounce = Debounce(work, 60, edge="leading")
    found = [await debounce(each) for each in ("a", "b", "c")]

    assert work.made == ["a"]
    assert found == ["A", "A", "A"]


@pytest.mark.parametrize("edge", ["leading", "trailing"])
@in_virtual_time
async def test_pause_ends_the_flood(work, edge):
    """What comes later is a call of its own."""
    debounce = Debounce(work, 60, edge=edge)
    await debounce("a")
    await asyncio.sleep(90)
    await debounce("b")

    assert work.made == ["a", "b"]


@in_virtual_time
async def test_flood_without_a_pause_is_cut_by_its_bound(work):
    """The call can't be put off for ever."""
    debounce = Debounce(work, 60, most=100)
    began = asyncio.get_running_loop().time()
    calls = []
    for turn in range(10):
        calls.append(asyncio.create_task(debounce(f"call {turn}")))
        await asyncio.sleep(30)
        if calls[0].done():
            break

    assert asyncio.get_running_loop().time() - began == pytest.approx(120)
    assert work.made == ["call 3"]
    assert {await each for each in calls} == {"CALL 3"}


@in_virtual_time
async def test_error_reaches_every_caller(work):
    """The next flood begins anew."""
    debounce = Debounce(work, 0.2)
    found = await asyncio.gather(
        debounce("a"), debounce("broken"), return_exceptions=True
    )

    assert [type(each) for each in found] == [ValueError, ValueError]
    assert await debounce("b") == "B"


@in_virtual_time
async def test_caller_that_is_cancelled_leaves_the_others_their_result(work):
    """Even the one who came first."""
    debounce = Debounce(work, 0.2)
    first = asyncio.create_task(debounce("a"))
    other = asyncio.create_task(debounce("b"))
    await asyncio.sleep(0)
    first.cancel()

    assert await other == "B"
    assert first.cancelled()


async def test_wait_that_is_none_is_refused(work):
    """It would debounce nothing."""
    with pytest.raises(ValueError, match="above 0"):
        Debounce(work, 0)


async def test_flood_is_told_call_by_call(work):
    """One is made, the others join it."""
    events = []
    debounce = Debounce(work, 0.01, name="reload", observe=events.append)
    await asyncio.gather(*(debounce("a") for _ in range(3)))

    assert {(each.pattern, each.name) for each in events} == {("debounce", "reload")}
    assert [each.event for each in events] == ["made", "joined", "joined"]


@in_virtual_time
async def test_decorated_coroutine_function_stays_one():
    """By its name, too."""
    calls = []

    @debounced(60, edge="leading")
    async def load(value):
        calls.append(value)
        return value

    found = await asyncio.gather(load(1), load(2), load(3))

    assert (found, calls, load.__name__) == ([1, 1, 1], [1], "load")


def test_threads_share_the_last_call():
    """The one that came first makes it; a thousand calls of many threads are one."""
    calls = []
    arrived = threading.Semaphore(0)
    last = threading.Event()

    def sleep(_seconds):
        last.wait(60)
        clock.now += 10

    clock = Clock()
    debounce = PlainDebounce(
        calls.append,
        1,
        clock=clock,
        sleep=sleep,
        observe=lambda _event: arrived.release(),
    )
    with ThreadPoolExecutor(50) as threads:
        for number in range(50):
            threads.submit(debounce, number)
        for _ in range(50):
            arrived.acquire()
        last.set()

    assert len(calls) == 1


def test_error_of_a_plain_function_reaches_every_thread():
    """The next flood begins anew."""

    @debounced(0.01)
    def fail():
        raise ValueError("broken")

    for _ in range(2):
        with pytest.raises(ValueError, match="broken"):
            fail()


def test_leading_plain_call_is_made_at_once():
    """A pause ends the flood."""
    clock, calls = Clock(), []

    def work(value):
        calls.append(value)
        return value

    debounce = PlainDebounce(work, 10, edge="leading", clock=clock)
    found = [debounce("a"), debounce("b")]
    clock.now += 11
    found.append(debounce("c"))

    assert (found, calls) == (["a", "a", "c"], ["a", "c"])
