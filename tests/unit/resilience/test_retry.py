"""What failed by chance is tried again, within all bounds."""

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.resilience.backoff import Backoff
from service.resilience.retry import Retry, RetryBudget, TransientError
from service.resilience.timeout import timeout


class Peer:
    """Fails as it is told, then answers."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.calls = 0

    async def ask(self, answer="answer"):
        return self.ask_plainly(answer)

    def ask_plainly(self, answer="answer"):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return answer


class Sleeper:
    """Sleeps in no time and remembers."""

    def __init__(self):
        self.slept = []

    async def __call__(self, seconds):
        self.slept.append(seconds)

    def plainly(self, seconds):
        self.slept.append(seconds)


@pytest.fixture
def sleeper():
    return Sleeper()


@pytest.fixture
def events():
    return []


def retry(sleeper, **options):
    plain = Backoff(jitter="none", first=0.1, most=1.0)
    options = {"backoff": plain, "sleep": sleeper} | options
    return Retry(sleep_plain=sleeper.plainly, **options)


async def test_failure_that_passes_is_tried_again(sleeper, events):
    """The waits grow; the caller sees the answer alone."""
    peer = Peer(TimeoutError(), ConnectionError())
    found = await retry(sleeper, name="peer", observe=events.append).call(peer.ask)

    assert found == "answer"
    assert sleeper.slept == [0.1, 0.2]
    assert [(e.name, e.event, e.fields["attempt"]) for e in events] == [
        ("peer", "retried", 1),
        ("peer", "retried", 2),
    ]


async def test_last_error_comes_out_when_no_attempt_is_left(sleeper, events):
    """By its own type."""
    last = TransientError("third")
    peer = Peer(TransientError("first"), TransientError("second"), last)
    with pytest.raises(TransientError) as raised:
        await retry(sleeper, observe=events.append).call(peer.ask)

    assert raised.value is last
    assert peer.calls == 3
    assert events[-1].event == "gave_up"
    assert events[-1].fields == {"attempts": 3, "reason": "attempts"}


async def test_error_that_stays_is_not_tried_again(sleeper):
    """The same call would fail the same way."""
    peer = Peer(ValueError("no such thing"))
    with pytest.raises(ValueError, match="no such thing"):
        await retry(sleeper).call(peer.ask)

    assert peer.calls == 1


async def test_peer_that_names_a_time_is_believed(sleeper):
    """Retry-After wins over a shorter back-off."""
    peer = Peer(TransientError(retry_after=7.0))
    await retry(sleeper).call(peer.ask)

    assert sleeper.slept == [7.0]


async def test_peer_that_wants_an_hour_is_given_up(sleeper):
    """No caller waits that long."""
    peer = Peer(TransientError(retry_after=3600.0))
    with pytest.raises(TransientError):
        await retry(sleeper).call(peer.ask)

    assert sleeper.slept == []


async def test_deadline_that_leaves_no_time_for_the_wait_ends_it(sleeper, events):
    """Failing now is better than failing later."""
    peer = Peer(TransientError(retry_after=30.0))
    with pytest.raises(TransientError):
        async with timeout(10.0):
            await retry(sleeper, observe=events.append).call(peer.ask)

    assert peer.calls == 1
    assert events[-1].fields["reason"] == "deadline"


async def test_budget_bounds_the_retries_of_all(sleeper):
    """A peer that is down gets a tenth more calls, not three times as many."""
    tries = retry(sleeper, budget=RetryBudget(0.1, burst=2.0), attempts=3)
    calls = 0
    for _ in range(1000):
        peer = Peer(*[TransientError() for _ in range(3)])
        with pytest.raises(TransientError):
            await tries.call(peer.ask)
        calls += peer.calls

    assert 1100 <= calls <= 1102


async def test_error_that_cost_the_peer_nothing_takes_nothing_of_the_budget(sleeper):
    """A peer that is away is asked for until the attempts end, whatever else fails."""
    tries = retry(
        sleeper,
        budget=RetryBudget(0.0, burst=1.0),
        is_free=lambda error: isinstance(error, ConnectionError),
        attempts=50,
    )
    away = Peer(*[ConnectionError() for _ in range(49)])
    overrun = Peer(*[TransientError() for _ in range(49)])
    await tries.call(away.ask)
    with pytest.raises(TransientError):
        await tries.call(overrun.ask)

    assert (away.calls, overrun.calls) == (50, 2)


async def test_forms_try_alike(sleeper):
    """Decorators for coroutine and plain functions, and loops for both."""
    tries = retry(sleeper)

    one, two, three, four = (Peer(TransientError()) for _ in range(4))
    found = [await tries(one.ask)("a"), tries(two.ask_plainly)(answer="b")]
    async for attempt in tries.attempts():
        with attempt:
            found.append(await three.ask("c"))
    for attempt in tries.attempts():
        with attempt:
            found.append(four.ask_plainly("d"))
            assert attempt.number == 2

    assert found == ["a", "b", "c", "d"]
    assert sleeper.slept == [0.1] * 4


async def test_cancelling_ends_the_wait():
    """Nobody waits for an answer that nobody wants."""
    peer = Peer(TransientError(retry_after=30.0))
    task = asyncio.create_task(Retry().call(peer.ask))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task], timeout=10)

    assert task.cancelled()
    assert peer.calls == 1


async def test_a_thousand_tasks_share_one_retry(sleeper):
    """What one waits for says nothing to the others."""
    tries = retry(sleeper)
    peers = [Peer(*[TransientError()] * (n % 3)) for n in range(1000)]
    found = await asyncio.gather(
        *(tries.call(peer.ask, n) for n, peer in enumerate(peers))
    )

    assert found == list(range(1000))
    assert sum(peer.calls for peer in peers) == 1000 + 333 + 2 * 333


@given(
    seed=st.integers(),
    jitter=st.sampled_from(["full", "decorrelated", "none"]),
    first=st.floats(0.001, 10),
    spread=st.floats(1, 100),
)
def test_waits_keep_within_their_bounds(seed, jitter, first, spread):
    """Whatever chance does."""
    backoff = Backoff(
        first=first, most=first * spread, jitter=jitter, chance=random.Random(seed)
    )
    waits = backoff.waits()
    found = [next(waits) for _ in range(50)]

    least = 0.0 if jitter == "full" else first
    assert all(least <= wait <= first * spread for wait in found)
    if jitter == "full":
        assert found[0] <= first


@pytest.mark.parametrize(
    "wrong", [{"first": 0}, {"most": 0.01}, {"factor": 0.5}], ids=str
)
def test_backoff_that_makes_no_sense_is_refused(wrong):
    """At once."""
    with pytest.raises(ValueError, match="first"):
        Backoff(**wrong)
    with pytest.raises(ValueError, match="one attempt"):
        Retry(attempts=0)
