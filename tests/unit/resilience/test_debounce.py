"""Of calls that come close upon each other one is made."""

import asyncio

import pytest

from service.resilience.debounce import Debounce


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


async def test_trailing_makes_the_last_call_for_all(work):
    """Everybody gets its result, a thousand of them too."""
    debounced = Debounce(work, 0.5)
    found = await asyncio.gather(*(debounced(f"call {n}") for n in range(1000)))

    assert work.made == ["call 999"]
    assert set(found) == {"CALL 999"}


async def test_leading_makes_the_first_call_for_all(work):
    """Those that follow get its result at once."""
    debounced = Debounce(work, 60, edge="leading")
    found = [await debounced(each) for each in ("a", "b", "c")]

    assert work.made == ["a"]
    assert found == ["A", "A", "A"]


@pytest.mark.parametrize("edge", ["leading", "trailing"])
async def test_pause_ends_the_flood(work, edge):
    """What comes later is a call of its own."""
    debounced = Debounce(work, 0.01, edge=edge)
    await debounced("a")
    await asyncio.sleep(0.03)
    await debounced("b")

    assert work.made == ["a", "b"]


async def test_flood_without_a_pause_is_cut_by_its_bound(work):
    """The call can't be put off for ever."""
    debounced = Debounce(work, 60, most=0.02)

    assert await asyncio.wait_for(debounced("a"), 10) == "A"


async def test_error_reaches_every_caller(work):
    """The next flood begins anew."""
    debounced = Debounce(work, 0.2)
    found = await asyncio.gather(
        debounced("a"), debounced("broken"), return_exceptions=True
    )

    assert [type(each) for each in found] == [ValueError, ValueError]
    assert await debounced("b") == "B"


async def test_caller_that_is_cancelled_leaves_the_others_their_result(work):
    """Even the one who came first."""
    debounced = Debounce(work, 0.2)
    first = asyncio.create_task(debounced("a"))
    other = asyncio.create_task(debounced("b"))
    await asyncio.sleep(0)
    first.cancel()

    assert await other == "B"
    assert first.cancelled()


async def test_wait_that_is_none_is_refused(work):
    """It would debounce nothing."""
    with pytest.raises(ValueError, match="above 0"):
        Debounce(work, 0)
