"""What is shed and what is let in, on a time line that the test draws."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.resilience.adaptive_limit import UNLIMITED, AdaptiveLimit, Bounds
from service.resilience.load_shedding import LoadShedder, Shed, ShedClass
from tests.support.clock import Clock

CLASSES = {
    "low": ShedClass(share=0.5, patience=1),
    "normal": ShedClass(share=0.9, patience=2),
    "high": ShedClass(share=1.0, patience=4),
}


def bounds(**changes):
    return Bounds(**({"least": 8, "most": 1000, "target_delay": 0.1} | changes))


class Line:
    """A limit, and the time."""

    def __init__(self, **changes):
        self.limit = AdaptiveLimit(bounds(**changes))
        self.now = 100.0

    def run(self, seconds, *, delay, in_flight=100, every=0.01):
        """Observe the same for some time; return the limit after it."""
        for _ in range(round(seconds / every)):
            self.now += every
            self.limit.observe(delay, in_flight=in_flight, now=self.now)
        return self.limit.value


def test_limit_without_delay_is_the_highest():
    """Thousands that sleep and make nobody wait are no overload."""
    line = Line(most=10_000)

    assert line.run(5, delay=0.01, in_flight=4000) == 10_000
    assert not line.limit.overloaded


def test_lasting_delay_brings_the_limit_down_with_each_window():
    """To a share of what is in flight, and again, never below the least."""
    line = Line()
    line.run(0.6, delay=0.01)

    assert line.run(0.8, delay=0.3) == 1000
    assert line.run(0.4, delay=0.3) == 70
    assert line.run(0.3, delay=0.3) == 70
    assert line.run(0.3, delay=0.3, in_flight=70) == 49
    assert line.run(10, delay=0.3, in_flight=3) == 8


def test_burst_that_is_worked_off_is_no_overload():
    """Late windows and none after them change nothing."""
    line = Line()
    line.run(0.6, delay=0.01)

    line.run(0.7, delay=0.6)
    line.run(1, delay=0.01)

    assert line.limit.value == 1000
    assert not line.limit.overloaded


def test_lower_target_is_quicker():
    """All times of the judgement are multiples of it."""
    line = Line(target_delay=0.02)
    line.run(0.1, delay=0.001)

    line.run(0.3, delay=0.3)

    assert line.limit.overloaded


def test_limit_is_back_within_four_seconds():
    """From the least to ten thousand, when nothing is late any more."""
    line = Line(most=10_000)
    assert line.run(5, delay=0.3, in_flight=8) == 8

    assert line.run(1, delay=0.01) < 50
    assert line.run(3, delay=0.01) == 10_000


def test_recovering_limit_falls_at_the_first_late_window():
    """It does not wait for more of them while it is finding its level."""
    line = Line()
    line.run(3, delay=0.3, in_flight=100)
    line.run(1.5, delay=0.01)
    assert not line.limit.overloaded

    line.run(0.5, delay=0.3, in_flight=100)

    assert line.limit.overloaded


def test_silence_restores_the_limit():
    """What was true of clients that are gone says nothing of new ones."""
    line = Line()
    line.run(3, delay=0.3, in_flight=8)
    line.now += 60

    assert line.run(0.6, delay=0.0) == 1000


def test_limit_that_does_not_adapt_stays():
    """Delay changes nothing then."""
    line = Line(adaptive=False)

    assert line.run(5, delay=0.3, in_flight=8) == 1000
    assert not line.limit.overloaded


def test_new_bounds_take_effect_at_once():
    """A limit at its highest follows it; one that is down moves between the new."""
    line = Line()
    line.limit.bounds = bounds(most=50)
    assert line.limit.value == 50

    line.run(3, delay=0.3, in_flight=8)
    line.limit.bounds = bounds(least=20)
    assert line.limit.value == 20

    line.limit.bounds = bounds(adaptive=False)
    assert line.limit.value == 1000


def test_no_highest_limit_is_more_than_a_process_can_hold():
    """0 is no limit."""
    assert Line(most=0).limit.value == UNLIMITED


@given(
    steps=st.lists(
        st.tuples(st.floats(0, 3), st.floats(0, 2), st.integers(0, 5000)), max_size=80
    ),
    least=st.integers(1, 2000),
    most=st.integers(0, 2000),
)
def test_limit_stays_between_its_bounds(steps, least, most):
    """Whatever comes; the highest wins where they contradict each other."""
    limit = AdaptiveLimit(bounds(least=least, most=most))
    now = 0.0
    for pause, delay, in_flight in steps:
        now += pause
        limit.observe(delay, in_flight=in_flight, now=now)

        top = most or UNLIMITED
        assert min(least, top) <= limit.value <= top


def shedder(**changes):
    return LoadShedder(AdaptiveLimit(bounds(**changes)), classes=CLASSES)


@pytest.mark.parametrize(("kind", "room"), [("low", 5), ("normal", 9), ("high", 10)])
def test_class_fills_its_share_of_the_limit(kind, room):
    """Half for low, nine tenths for normal, all for high."""
    shed = shedder(most=10)

    let_in = [shed.enter(kind, 0.0, 1.0) for _ in range(12)]

    assert let_in == [None] * room + ["in_flight"] * (12 - room)
    assert shed.in_flight == room


def test_higher_class_has_room_where_a_lower_one_has_none():
    """The limit counts all of them together."""
    shed = shedder(most=10)
    for _ in range(9):
        shed.enter("normal", 0.0, 1.0)

    assert shed.enter("low", 0.0, 1.0) == "in_flight"
    assert shed.enter("normal", 0.0, 1.0) == "in_flight"
    assert shed.enter("high", 0.0, 1.0) is None


def test_what_leaves_makes_room():
    """One out, one in."""
    shed = shedder(most=1)
    assert shed.enter("low", 0.0, 1.0) is None
    assert shed.enter("low", 0.0, 1.0) == "in_flight"

    shed.leave()

    assert shed.enter("low", 0.0, 1.0) is None


@pytest.mark.parametrize(
    ("kind", "most"), [("low", 0.1), ("normal", 0.2), ("high", 0.4)]
)
def test_under_overload_who_waited_too_long_is_shed(kind, most):
    """Longer for higher classes."""
    shed = shedder()
    now = 0.0
    while not shed.limit.overloaded:
        now += 0.1
        shed.limit.observe(0.3, in_flight=0, now=now)

    assert shed.enter(kind, most + 0.01, now) == "delay"
    assert shed.enter(kind, most - 0.01, now) is None


def test_without_overload_nobody_is_shed_for_having_waited():
    """A pause of the process makes all late once, and fails nobody."""
    shed = shedder()

    assert shed.enter("low", 3.0, 1.0) is None


async def test_guarded_calls_are_let_in_or_shed():
    """As a block, a decorator of both kinds of function, and one call."""
    shed, events = shedder(most=1), []
    guard = shed.guard("low", observe=events.append, clock=Clock())

    @guard
    async def outer():
        return inner()

    @guard
    def inner():
        return "let in"

    assert inner() == "let in"
    with pytest.raises(Shed) as refused:
        await outer()
    with guard, pytest.raises(Shed):
        await guard.call(outer)

    assert refused.value.reason == "in_flight"
    assert shed.in_flight == 0
    assert {(each.event, each.name) for each in events} == {("shed", "low")}
    assert events[0].fields == {"reason": "in_flight"}


async def test_guard_asks_how_long_a_call_has_waited():
    """Under overload who has waited too long is shed."""
    shed, clock = shedder(), Clock()
    while not shed.limit.overloaded:
        clock.now += 0.1
        shed.limit.observe(0.3, in_flight=0, now=clock.now)
    guard = shed.guard("low", waited=lambda: 0.2, clock=clock)

    with pytest.raises(Shed, match="delay"), guard:
        pytest.fail("let in")


async def test_a_thousand_tasks_that_are_cancelled_leave_no_trace():
    """Whoever is in takes room, and gives it back in any case."""
    shed = shedder(most=100)
    guard = shed.guard("high", clock=Clock())
    calls = [asyncio.create_task(guard.call(asyncio.sleep, 3600)) for _ in range(1000)]
    await asyncio.sleep(0)
    most = shed.in_flight
    for each in calls:
        each.cancel()
    found = await asyncio.gather(*calls, return_exceptions=True)

    assert most == 100
    assert sum(isinstance(each, Shed) for each in found) == 900
    assert shed.in_flight == 0
