"""Room for so many calls and no more."""

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.resilience.bulkhead import Bulkhead, BulkheadFull


def test_full_bulkhead_refuses_at_once():
    """One more than the limit is turned away, and fits in when one has left."""
    bulkhead = Bulkhead(1)

    with bulkhead, pytest.raises(BulkheadFull), bulkhead:
        pytest.fail("let in")
    with bulkhead:
        assert bulkhead.in_flight == 1


def test_failure_within_leaves_the_bulkhead():
    """What ends with an error takes no room any more."""
    bulkhead = Bulkhead(1)

    with pytest.raises(ZeroDivisionError), bulkhead:
        raise ZeroDivisionError

    assert bulkhead.in_flight == 0


def test_lower_limit_lets_nobody_in_until_enough_have_left():
    """What is in flight stays when the limit comes down."""
    bulkhead = Bulkhead(2)

    with bulkhead:
        with bulkhead:
            bulkhead.limit = 1
        with pytest.raises(BulkheadFull), bulkhead:
            pytest.fail("let in")
    with bulkhead:
        assert bulkhead.in_flight == 1


def test_bulkhead_without_room_is_refused():
    """A limit of 0 would be a part that is switched off."""
    with pytest.raises(ValueError, match="limit"):
        Bulkhead(0)


@given(limit=st.integers(1, 5), turns=st.lists(st.integers(0, 4), max_size=40))
def test_bulkhead_never_holds_more_than_its_limit(limit, turns):
    """Whatever the order in which calls come and go."""
    bulkhead = Bulkhead(limit)
    most = 0

    async def call(naps):
        nonlocal most
        with contextlib.suppress(BulkheadFull), bulkhead:
            most = max(most, bulkhead.in_flight)
            for _ in range(naps):
                await asyncio.sleep(0)

    async def main():
        await asyncio.gather(*map(call, turns))

    asyncio.run(main())

    assert most <= limit
    assert bulkhead.in_flight == 0


async def test_decorated_functions_share_the_room():
    """Coroutine and plain ones alike."""
    bulkhead = Bulkhead(1)

    @bulkhead
    async def outer():
        return inner()

    @bulkhead
    def inner():
        return "never"

    with pytest.raises(BulkheadFull):
        await outer()
    assert bulkhead.in_flight == 0
    with pytest.raises(BulkheadFull):
        await bulkhead.call(outer)


def test_threads_never_find_more_room_than_there_is():
    """Counting is safe for them, too."""
    bulkhead = Bulkhead(3)
    most = []

    def work(_number):
        with contextlib.suppress(BulkheadFull), bulkhead:
            most.append(bulkhead.in_flight)

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(work, range(5000)))

    assert max(most) <= 3
    assert bulkhead.in_flight == 0


async def test_refusal_is_told():
    """With the limit."""
    events = []
    bulkhead = Bulkhead(1, name="reports", observe=events.append)
    with bulkhead, contextlib.suppress(BulkheadFull), bulkhead:
        pytest.fail("let in")

    [event] = events
    assert (event.pattern, event.name, event.event) == ("bulkhead", "reports", "full")
    assert event.fields == {"limit": 1}


async def test_a_thousand_cancelled_tasks_leave_all_room():
    """Cancelling takes nothing along."""
    bulkhead = Bulkhead(1000)
    calls = [
        asyncio.create_task(bulkhead.call(asyncio.sleep, 3600)) for _ in range(1000)
    ]
    await asyncio.sleep(0)
    assert bulkhead.in_flight == 1000
    for each in calls:
        each.cancel()
    await asyncio.gather(*calls, return_exceptions=True)

    assert bulkhead.in_flight == 0
