"""Who keeps failing is left out, for longer each time, and never most of them."""

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from hypothesis.strategies import floats, integers

from service.discovery.outliers import OutlierLimits, Outliers
from tests.support.clock import Clock
from tests.support.discovery import endpoints

A, B, C, D = ALL = endpoints(4)
LIMITS = OutlierLimits(failures=3, eject_for=2.0, eject_for_most=5.0, share=0.5)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ejected():
    return []


@pytest.fixture
def outliers(clock, ejected):
    return Outliers(LIMITS, clock=clock, on_eject=lambda *told: ejected.append(told))


def fail(outliers, endpoint, times=3):
    for _ in range(times):
        outliers.failed(endpoint)


def test_failures_in_a_row_eject(outliers, ejected):
    """The third failure leaves the endpoint out, and it is told once."""
    fail(outliers, A, 2)
    before = outliers.accepted(ALL)
    fail(outliers, A, 1)

    assert before == list(ALL)
    assert outliers.accepted(ALL) == [B, C, D]
    assert ejected == [(A, 2.0)]


def test_success_between_failures_keeps_it_in(outliers):
    """Only failures in a row count."""
    for _ in range(5):
        fail(outliers, A, 2)
        outliers.succeeded(A)

    assert outliers.accepted(ALL) == list(ALL)


def test_each_ejection_in_a_row_is_longer_up_to_the_longest(outliers, clock, ejected):
    """2 s, 4 s, then never more than 5 s; one failure after the return is enough."""
    fail(outliers, A)
    for _ in range(3):
        clock.now += 10
        fail(outliers, A, 1)

    assert [seconds for _, seconds in ejected] == [2.0, 4.0, 5.0, 5.0]


def test_late_outcomes_of_calls_from_before_change_nothing(outliers, ejected):
    """Calls that were under way at the ejection neither end nor prolong it."""
    fail(outliers, A, 9)
    outliers.succeeded(A)

    assert outliers.accepted(ALL) == [B, C, D]
    assert ejected == [(A, 2.0)]


def test_returned_endpoint_that_holds_is_forgiven(outliers, clock, ejected):
    """In for as long as it was out, its record is gone: three failures again, 2 s."""
    fail(outliers, A)
    clock.now += 2.0
    outliers.succeeded(A)
    fail(outliers, A, 2)
    outliers.succeeded(A)
    clock.now += 2.0
    outliers.succeeded(A)
    fail(outliers, A)

    assert [seconds for _, seconds in ejected] == [2.0, 2.0]


def test_no_more_than_the_share_is_out(outliers, clock):
    """When three of four are ill, the one whose time is over first stays in."""
    for each in (A, B, C):
        fail(outliers, each)
        clock.now += 0.1

    assert outliers.accepted(ALL) == [A, D]


@pytest.mark.parametrize(("share", "left"), [(0.0, 3), (0.25, 3), (1.0, 1)])
def test_one_may_always_be_out_and_one_always_stays(clock, share, left):
    """Whatever the share, one ill endpoint can be left out, and one is always in."""
    outliers = Outliers(OutlierLimits(failures=1, share=share), clock=clock)
    for each in ALL:
        outliers.failed(each)

    assert len(outliers.accepted(ALL)) == left


def test_only_endpoint_stays_in(outliers):
    """Nobody is left out when nobody else is there."""
    fail(outliers, A)

    assert outliers.accepted([A]) == [A]
    assert outliers.accepted([]) == []


def test_limit_of_zero_leaves_nobody_out(clock):
    """No number of failures matters when that is switched off."""
    outliers = Outliers(OutlierLimits(failures=0), clock=clock)
    fail(outliers, A, 50)

    assert outliers.accepted(ALL) == list(ALL)
    assert outliers.out_for(A) == 0


def test_others_are_forgotten(outliers):
    """What went is not remembered."""
    fail(outliers, A)
    outliers.keep([B])

    assert outliers.accepted(ALL) == list(ALL)


class Ejections(RuleBasedStateMachine):
    """Outcomes in any order; the model says who must be out."""

    def __init__(self):
        super().__init__()
        self.clock = Clock()
        self.outliers = Outliers(LIMITS, clock=self.clock, on_eject=self.eject)
        self.until = {}
        self.row = dict.fromkeys(ALL, 0)

    def eject(self, who, seconds):
        assert self.row[who] >= 1
        assert LIMITS.eject_for <= seconds <= LIMITS.eject_for_most
        assert self.clock.now >= self.until.get(who, 0)
        self.until[who] = self.clock.now + seconds

    @rule(number=integers(0, 3))
    def succeed(self, number):
        self.outliers.succeeded(ALL[number])
        self.row[ALL[number]] = 0

    @rule(number=integers(0, 3))
    def fail(self, number):
        who = ALL[number]
        self.row[who] += 1
        self.outliers.failed(who)
        if self.row[who] >= LIMITS.failures:
            assert self.until.get(who, 0) > self.clock.now - LIMITS.eject_for_most

    @rule(seconds=floats(0, 4))
    def wait(self, seconds):
        self.clock.now += seconds

    @invariant()
    def those_left_are_right(self):
        accepted = self.outliers.accepted(ALL)
        out = {each for each in ALL if self.until.get(each, 0) > self.clock.now}
        left_out = set(ALL) - set(accepted)
        assert left_out <= out
        assert len(left_out) == min(len(out), 2)
        assert accepted == [each for each in ALL if each in accepted]


TestEjections = Ejections.TestCase
TestEjections.settings = settings(max_examples=50, stateful_step_count=40)
