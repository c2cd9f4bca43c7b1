"""Room for so many calls and no more."""

import asyncio
import contextlib

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
