"""A breaker refuses what keeps failing and lets it come back by a few probes."""

import asyncio
import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.strategies import booleans, data, floats, sampled_from

from service.resilience.bulkhead import BulkheadFull
from service.resilience.circuit_breaker import (
    BreakerLimits,
    CircuitBreaker,
    CircuitOpen,
    State,
)

LIMITS = BreakerLimits(
    failure_rate=0.5,
    minimum_calls=4,
    window=10.0,
    slow_after=2.0,
    open_for=5.0,
    open_for_most=15.0,
    probes=2,
)


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def events():
    return []


@pytest.fixture
def breaker(clock, events):
    return CircuitBreaker("peer", limits=LIMITS, clock=clock, observe=events.append)


def succeed(breaker):
    with breaker.guarded():
        pass


def fail(breaker, error=ConnectionError):
    with pytest.raises(error), breaker.guarded():
        raise error


def opened(breaker):
    for _ in range(4):
        fail(breaker)
    return breaker


def test_failures_below_the_minimum_leave_it_closed(breaker):
    """Three of three say nothing yet."""
    for _ in range(3):
        fail(breaker)

    assert breaker.state is State.CLOSED


def test_share_of_failures_opens_it(breaker, events):
    """Two of four are the half that was named; nobody is called any more."""
    for outcome in (succeed, succeed, fail, fail):
        outcome(breaker)

    assert breaker.state is State.OPEN
    with pytest.raises(CircuitOpen) as refused:
        succeed(breaker)
    assert refused.value.retry_after == 5.0
    assert [(e.pattern, e.name, e.event) for e in events] == [
        ("circuit_breaker", "peer", "opened")
    ]
    assert events[0].fields == {"seconds": 5.0, "calls": 4, "failures": 2}


def test_failures_that_are_older_than_the_window_are_forgotten(breaker, clock):
    """Three failures an hour never open it."""
    for _ in range(10):
        fail(breaker)
        clock.now += 11.0

    assert breaker.state is State.CLOSED


def test_slow_call_is_a_failure(breaker, clock):
    """Whatever it returned."""
    for _ in range(4):
        with breaker.guarded():
            clock.now += 2.1

    assert breaker.state is State.OPEN


def test_error_that_does_not_speak_against_the_peer_is_a_success(clock):
    """Such as the caller's own mistake."""
    breaker = CircuitBreaker(
        limits=LIMITS, clock=clock, is_failure=lambda e: isinstance(e, OSError)
    )
    for _ in range(10):
        fail(breaker, KeyError)

    assert breaker.state is State.CLOSED


def test_call_that_says_nothing_of_the_peer_hides_no_failure(clock):
    """A refusal on this side counts neither way, nor does what is named as such."""
    breaker = CircuitBreaker(
        limits=LIMITS, clock=clock, is_neutral=lambda e: isinstance(e, KeyError)
    )
    for _ in range(10):
        fail(breaker, BulkheadFull)
        fail(breaker, KeyError)

    assert breaker.state is State.CLOSED
    opened(breaker)
    assert breaker.state is State.OPEN


def test_probes_that_were_not_made_do_not_close_it(breaker, clock):
    """Others take their places, and what comes of those decides."""
    opened(breaker)
    clock.now += 5.0
    for _ in range(3):
        fail(breaker, BulkheadFull)

    assert breaker.state is State.HALF_OPEN
    succeed(breaker)
    succeed(breaker)
    assert breaker.state is State.CLOSED


def test_probes_that_succeed_close_it(breaker, clock, events):
    """As many as were named, and no more at a time."""
    opened(breaker)
    clock.now += 5.0
    with breaker.guarded(), breaker.guarded():
        assert breaker.state is State.HALF_OPEN
        with pytest.raises(CircuitOpen) as refused:
            succeed(breaker)

    assert refused.value.retry_after == 0.0
    assert breaker.state is State.CLOSED
    assert [each.event for each in events] == ["opened", "half_open", "closed"]


def test_probe_that_fails_opens_it_for_longer(breaker, clock):
    """Twice as long each time, up to the bound, and as at first once it was well."""
    opened(breaker)
    waits = []
    for wait in (5.0, 10.0, 15.0):
        clock.now += wait
        fail(breaker)
        with pytest.raises(CircuitOpen) as refused:
            succeed(breaker)
        waits.append(refused.value.retry_after)
    clock.now += 15.0
    succeed(breaker)
    succeed(breaker)
    opened(breaker)
    with pytest.raises(CircuitOpen) as refused:
        succeed(breaker)

    assert waits == [10.0, 15.0, 15.0]
    assert refused.value.retry_after == 5.0


def test_call_of_an_earlier_state_no_longer_counts(breaker, clock):
    """What was let in before it opened says nothing about the peer of now."""
    early = breaker.guarded()
    early.__enter__()
    opened(breaker)
    clock.now += 5.0
    succeed(breaker)
    with contextlib.suppress(ConnectionError):
        early.__exit__(ConnectionError, ConnectionError(), None)

    assert breaker.state is State.HALF_OPEN
    succeed(breaker)
    assert breaker.state is State.CLOSED


async def test_cancelled_probe_gives_its_place_back(breaker, clock):
    """The caller went away; that is no news of the peer."""
    opened(breaker)
    clock.now += 5.0

    @breaker
    async def hang():
        await asyncio.Event().wait()

    tasks = [asyncio.create_task(hang()) for _ in range(2)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)

    succeed(breaker)
    succeed(breaker)
    assert breaker.state is State.CLOSED


async def test_three_forms_guard_alike(breaker):
    """Decorated coroutine and plain functions, and a single call."""

    @breaker
    async def fetch(value, *, more=0):
        return value + more

    @breaker
    def look_up(value):
        return value

    assert await fetch(1, more=2) == 3
    assert look_up(4) == 4
    assert await breaker.call(asyncio.sleep, 0, result=5) == 5
    assert fetch.__name__ == "fetch"
    for _ in range(3):
        fail(breaker)
    with pytest.raises(CircuitOpen):
        await fetch(1)
    with pytest.raises(CircuitOpen):
        look_up(1)


def test_threads_open_it_once(clock, events):
    """A thousand failures of sixteen threads are one event."""
    breaker = CircuitBreaker(limits=LIMITS, clock=clock, observe=events.append)
    together = threading.Barrier(16)

    def hammer(_):
        together.wait()
        for _ in range(64):
            with contextlib.suppress(ConnectionError, CircuitOpen), breaker.guarded():
                raise ConnectionError

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(hammer, range(16)))

    assert [each.event for each in events] == ["opened"]


@pytest.mark.parametrize(
    "wrong",
    [{"failure_rate": 0}, {"failure_rate": 1.1}, {"minimum_calls": 0}, {"probes": 0},
     {"window": 0}, {"open_for": 0}, {"slow_after": 0}],
    ids=str,
)  # fmt: skip
def test_limits_that_make_no_sense_are_refused(wrong):
    """At once, not when it should open."""
    with pytest.raises(ValueError, match=r"range|above"):
        BreakerLimits(**wrong)


class AgainstAModel(RuleBasedStateMachine):
    """
    Calls begin and end in any order while time passes; a model in plain words says what
    the breaker must do.
    """

    def __init__(self):
        super().__init__()
        self.clock = Clock()
        limits = BreakerLimits(
            minimum_calls=3, window=1e9, open_for=5.0, open_for_most=5.0, probes=2
        )
        self.breaker = CircuitBreaker(limits=limits, clock=self.clock)
        self.running = []
        self.state, self.until = State.CLOSED, 0.0
        self.period = self.calls = self.failures = self.admitted = self.good = 0

    def enter(self, state):
        self.state = state
        self.period += 1
        self.calls = self.failures = self.admitted = self.good = 0
        self.until = self.clock.now + 5.0

    def admits(self):
        if self.state is State.OPEN and self.clock.now >= self.until:
            self.enter(State.HALF_OPEN)
        if self.state is State.HALF_OPEN:
            if self.admitted == 2:
                return False
            self.admitted += 1
        return self.state is not State.OPEN

    @rule(seconds=floats(0.0, 7.0))
    def time_passes(self, seconds):
        self.clock.now += seconds

    @rule()
    def begin(self):
        call = self.breaker.guarded()
        if self.admits():
            call.__enter__()
            self.running.append((call, self.period))
        else:
            with pytest.raises(CircuitOpen):
                call.__enter__()

    @precondition(lambda self: self.running)
    @rule(choice=data(), failed=booleans())
    def end(self, choice, failed):
        at = choice.draw(floats(0, 0.999)) * len(self.running)
        call, period = self.running.pop(int(at))
        error = ConnectionError() if failed else None
        with contextlib.suppress(ConnectionError):
            call.__exit__(type(error) if error else None, error, None)
        if period == self.period:
            self.ended(failed=failed)

    @precondition(lambda self: self.running)
    @rule(kind=sampled_from([asyncio.CancelledError, BulkheadFull]))
    def say_nothing(self, kind):
        call, period = self.running.pop()
        with contextlib.suppress(kind):
            call.__exit__(kind, kind(), None)
        if period == self.period and self.state is State.HALF_OPEN:
            self.admitted -= 1

    def ended(self, *, failed):
        self.calls += 1
        self.failures += failed
        self.good += not failed
        if self.state is State.HALF_OPEN and failed:
            self.enter(State.OPEN)
        elif self.state is State.HALF_OPEN and self.good == 2:
            self.enter(State.CLOSED)
        elif self.state is State.CLOSED and failed and self.is_ill():
            self.enter(State.OPEN)

    def is_ill(self):
        return self.calls >= 3 and self.failures * 2 >= self.calls

    @invariant()
    def same_state(self):
        waited = self.state is State.OPEN and self.clock.now >= self.until
        assert self.breaker.state is (State.HALF_OPEN if waited else self.state)


TestAgainstAModel = AgainstAModel.TestCase
TestAgainstAModel.settings = settings(max_examples=200, deadline=None)
