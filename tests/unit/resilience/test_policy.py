"""Fallback and the order of all patterns."""

import asyncio

import pytest

from service.resilience.backoff import Backoff
from service.resilience.bulkhead import Bulkhead, BulkheadFull
from service.resilience.circuit_breaker import (
    BreakerLimits,
    CircuitBreaker,
    CircuitOpen,
    State,
)
from service.resilience.fallback import Fallback
from service.resilience.hedge import Hedge
from service.resilience.policy import Policy
from service.resilience.retry import Retry, TransientError
from service.resilience.timeout import DeadlineExceeded, remaining

QUICK = Backoff(first=0.001, most=0.001, jitter="none")


class Peer:
    def __init__(self, *errors):
        self.errors = list(errors)
        self.calls = 0

    async def ask(self, *, hang=False):
        self.calls += 1
        if hang:
            await asyncio.Event().wait()
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


async def test_fallback_answers_in_place_of_a_failure():
    """In each form; what it is not for comes out."""
    events = []
    fallback = Fallback(
        lambda error: f"instead of {error}",
        on=lambda error: isinstance(error, OSError),
        observe=events.append,
    )

    @fallback
    def plain():
        raise OSError("plain")

    assert await fallback.call(Peer(OSError("one")).ask) == "instead of one"
    assert await fallback(Peer().ask)() == "answer"
    assert plain() == "instead of plain"
    with pytest.raises(KeyError):
        await fallback.call(Peer(KeyError()).ask)
    assert [each.event for each in events] == ["used", "used"]


async def test_block_with_a_fallback_has_a_value_in_any_case():
    """Its own, or the answer; what it is not for comes out, and so does leaving."""
    fallback = Fallback(lambda _error: 0, on=lambda error: isinstance(error, OSError))
    with fallback.block() as good:
        good.value = 1
    with fallback.block() as bad:
        raise OSError
    with pytest.raises(KeyError), fallback.block():
        raise KeyError
    with pytest.raises(asyncio.CancelledError), fallback.block():
        raise asyncio.CancelledError

    assert (good.value, bad.value) == (1, 0)


async def test_a_thousand_failures_each_have_their_own_answer():
    """And a cancelled call has none."""

    @Fallback(str)
    async def fail(number):
        await asyncio.sleep(0)
        raise ValueError(number)

    calls = [asyncio.create_task(fail(number)) for number in range(1000)]
    calls[0].cancel()
    await asyncio.wait(calls)

    assert calls[0].cancelled()
    assert [each.result() for each in calls[1:]] == list(map(str, range(1, 1000)))


async def test_empty_policy_is_the_call_itself():
    """What is left out costs nothing and changes nothing."""
    assert await Policy().call(Peer().ask) == "answer"


async def test_each_attempt_is_counted_by_the_breaker():
    """Retry is outside of it: three attempts are three calls of the peer."""
    breaker = CircuitBreaker(limits=BreakerLimits(minimum_calls=3))
    policy = Policy(retry=Retry(attempts=5, backoff=QUICK), breaker=breaker)
    peer = Peer(*[TransientError()] * 5)
    with pytest.raises(CircuitOpen):
        await policy.call(peer.ask)

    assert peer.calls == 3


async def test_attempt_that_hangs_leaves_time_for_another():
    """The bound of one attempt is inside of retry, that of all of them outside."""
    peer = Peer()
    policy = Policy(
        timeout=60.0,
        retry=Retry(attempts=2, backoff=QUICK),
        attempt_timeout=0.01,
    )
    with pytest.raises(DeadlineExceeded, match=r"0\.01 s"):
        await policy.call(peer.ask, hang=True)

    assert peer.calls == 2


async def test_whole_is_bounded():
    """Whatever the attempts are allowed."""
    policy = Policy(timeout=0.02, retry=Retry(attempts=1000, backoff=QUICK))
    peer = Peer(*[TransientError()] * 1000)
    with pytest.raises((DeadlineExceeded, TransientError)):
        await policy.call(peer.ask)

    assert peer.calls < 1000


async def test_open_circuit_takes_no_room_of_the_bulkhead():
    """And the fallback sees the reason."""
    bulkhead = Bulkhead(1)
    reasons = []
    policy = Policy(
        fallback=Fallback(reasons.append),
        breaker=CircuitBreaker(limits=BreakerLimits(minimum_calls=1)),
        bulkhead=bulkhead,
    )
    for _ in range(3):
        await policy.call(Peer(TransientError()).ask)

    assert [type(each) for each in reasons] == [
        TransientError,
        CircuitOpen,
        CircuitOpen,
    ]
    assert bulkhead.in_flight == 0


async def test_full_bulkhead_refuses_at_once():
    """A thousand callers, ten at a time; the others are told."""
    policy = Policy(bulkhead=Bulkhead(10))
    callers = [
        asyncio.create_task(policy.call(Peer().ask, hang=True)) for _ in range(1000)
    ]
    async with asyncio.timeout(60):
        while sum(each.done() for each in callers) < 990:
            await asyncio.sleep(0.001)
    done, pending = await asyncio.wait(callers, timeout=0.1)
    for each in pending:
        each.cancel()
    await asyncio.wait(pending)

    assert len(pending) == 10
    assert all(isinstance(each.exception(), BulkheadFull) for each in done)


async def test_full_bulkhead_opens_no_circuit():
    """The peer is well: it has more callers than may ask it at once."""
    breaker = CircuitBreaker(limits=BreakerLimits(minimum_calls=3))
    room = Bulkhead(1)
    policy = Policy(breaker=breaker, bulkhead=room)
    with room:
        for _ in range(10):
            with pytest.raises(BulkheadFull):
                await policy.call(Peer().ask)

    assert await policy.call(Peer().ask) == "answer"
    assert breaker.state is State.CLOSED


async def test_hedge_is_inside_of_one_attempt():
    """Both of its calls see the attempt's deadline."""
    seen = []

    async def late():
        seen.append(remaining())
        await asyncio.sleep(0.02)
        return "answer"

    policy = Policy(attempt_timeout=60.0, hedge=Hedge(0.001))

    assert await policy(late)() == "answer"
    assert len(seen) == 2
    assert all(0 < left <= 60 for left in seen)
