"""A late answer is asked for again, and the first one wins."""

import asyncio

import pytest

from service.resilience.hedge import Hedge
from tests.support.virtual_time import in_virtual_time


class Peer:
    """Each call answers once its own event is set."""

    def __init__(self):
        self.calls = []
        self.cancelled = []

    async def ask(self):
        number = len(self.calls)
        call = asyncio.get_running_loop().create_future()
        self.calls.append(call)
        try:
            return await call
        except asyncio.CancelledError:
            self.cancelled.append(number)
            raise

    async def await_calls(self, count):
        async with asyncio.timeout(60):
            while len(self.calls) < count:
                await asyncio.sleep(0.001)


@pytest.fixture
def peer():
    return Peer()


async def test_answer_in_time_is_asked_for_once(peer):
    """The usual case costs nothing."""
    asking = asyncio.create_task(Hedge(60).call(peer.ask))
    await peer.await_calls(1)
    peer.calls[0].set_result("answer")

    assert await asking == "answer"
    assert len(peer.calls) == 1


@pytest.mark.parametrize("winner", [0, 1])
async def test_first_answer_wins_and_the_other_call_is_cancelled(peer, winner):
    """Whichever it is."""
    events = []
    hedge = Hedge(0.001, name="peer", observe=events.append)
    asking = asyncio.create_task(hedge.call(peer.ask))
    await peer.await_calls(2)
    peer.calls[winner].set_result(winner)

    assert await asking == winner
    assert peer.cancelled == [1 - winner]
    assert [each.event for each in events] == ["hedged", "won"]
    assert events[-1].fields == {"attempt": winner + 1}
    assert len(asyncio.all_tasks()) == 1


async def test_failure_waits_for_the_call_that_may_still_answer(peer):
    """One answer is enough."""
    asking = asyncio.create_task(Hedge(0.001).call(peer.ask))
    await peer.await_calls(2)
    peer.calls[0].set_exception(ConnectionError())
    await asyncio.sleep(0)
    peer.calls[1].set_result("answer")

    assert await asking == "answer"


async def test_early_failure_is_a_failure(peer):
    """Trying again is the business of retry."""
    asking = asyncio.create_task(Hedge(60).call(peer.ask))
    await peer.await_calls(1)
    peer.calls[0].set_exception(ConnectionError())

    with pytest.raises(ConnectionError):
        await asking
    assert len(peer.calls) == 1


async def test_no_more_calls_than_allowed(peer):
    """Neither by their number nor by the budget."""
    spent = iter([True, False])
    hedge = Hedge(lambda: 0.001, attempts=5, allowed=lambda: next(spent))
    asking = asyncio.create_task(hedge.call(peer.ask))
    await peer.await_calls(2)
    await asyncio.sleep(0.02)
    peer.calls[1].set_result("answer")

    assert await asking == "answer"
    assert len(peer.calls) == 2


async def test_cancelling_cancels_every_call(peer):
    """None outlives the one that it is a part of."""
    asking = asyncio.create_task(Hedge(0.001)(peer.ask)())
    await peer.await_calls(2)
    asking.cancel()
    await asyncio.wait([asking])

    assert asking.cancelled()
    assert sorted(peer.cancelled) == [0, 1]
    assert len(asyncio.all_tasks()) == 1


@in_virtual_time
async def test_a_thousand_late_calls_are_asked_again_and_leave_no_task():
    """Each answers by its second call, ten seconds after the first."""
    loop, tries = asyncio.get_running_loop(), []

    async def ask():
        tries.append(loop.time())
        await asyncio.sleep(3600 if tries[-1] < 10 else 5)
        return loop.time()

    hedge = Hedge(10)
    found = await asyncio.gather(*(hedge.call(ask) for _ in range(1000)))

    assert set(found) == {15}
    assert len(tries) == 2000
    assert len(asyncio.all_tasks()) == 1
