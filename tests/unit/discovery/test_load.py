"""Load remembers calls under way and latencies that fade."""

import math

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.strategies import booleans, data, floats, sampled_from

from service.discovery.load import DECAY, Load
from tests.support.clock import Clock
from tests.support.discovery import endpoints

HERE, THERE = endpoints(2)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def load(clock):
    return Load(clock=clock)


def call(load, clock, seconds, *, finished=True, endpoint=HERE):
    since = load.begin(endpoint)
    clock.now += seconds
    load.end(endpoint, since, finished=finished)


def test_longer_call_is_believed_at_once(load, clock):
    """One slow call is the new latency; a fast one moves it little."""
    call(load, clock, 0.01)
    call(load, clock, 2.0)
    peak = load.latency(HERE)
    call(load, clock, 0.01)

    assert peak == pytest.approx(2.0)
    assert 1.9 < load.latency(HERE) < 2.0


def test_latency_fades_while_nothing_is_heard(load, clock):
    """After the decay time a third is left, so that the endpoint is tried again."""
    call(load, clock, 1.0)
    clock.now += DECAY

    assert load.latency(HERE) == pytest.approx(1 / math.e)


def test_call_of_no_time_is_taken(load, clock):
    """A clock too coarse for the call is no error."""
    call(load, clock, 0.0)

    assert load.latency(HERE) == 0.0


@pytest.mark.parametrize(("seconds", "latency"), [(3.0, 3.0), (0.1, 1.0)])
def test_call_that_was_given_up_counts_only_when_longer(load, clock, seconds, latency):
    """A caller that left after 3 s tells that it takes 3 s; after 0.1 s it does not."""
    call(load, clock, 1.0)
    call(load, clock, seconds, finished=False)

    assert load.latency(HERE) == pytest.approx(latency, rel=0.02)


def test_expected_time_grows_with_calls_under_way(load, clock):
    """Three calls ahead make the next one wait four times as long."""
    call(load, clock, 0.5)
    alone = load.expected(HERE)
    for _ in range(3):
        load.begin(HERE)

    assert load.expected(HERE) == pytest.approx(4 * alone)


def test_others_are_forgotten(load, clock):
    """What went is not remembered."""
    call(load, clock, 1.0)
    load.keep([THERE])

    assert load.latency(HERE) == 0.0


class Loads(RuleBasedStateMachine):
    """Calls begin and end in any order; the model is a list of them."""

    def __init__(self):
        super().__init__()
        self.clock = Clock()
        self.load = Load(clock=self.clock)
        self.open = []
        self.longest = 0.0

    @rule(endpoint=sampled_from([HERE, THERE]))
    def begin(self, endpoint):
        self.open.append((endpoint, self.load.begin(endpoint)))

    @precondition(lambda self: self.open)
    @rule(drawn=data(), finished=booleans())
    def end(self, drawn, finished):
        endpoint, since = drawn.draw(sampled_from(self.open))
        self.open.remove((endpoint, since))
        self.longest = max(self.longest, self.clock.now - since)
        self.load.end(endpoint, since, finished=finished)

    @rule(seconds=floats(0, 20))
    def wait(self, seconds):
        self.clock.now += seconds

    @rule(endpoint=sampled_from([HERE, THERE]))
    def keep(self, endpoint):
        self.load.keep([endpoint])

    @invariant()
    def counts_agree(self):
        for endpoint in (HERE, THERE):
            assert self.load.calls(endpoint) == sum(e == endpoint for e, _ in self.open)
            assert 0 <= self.load.latency(endpoint) <= self.longest + 1e-9
            assert self.load.expected(endpoint) > 0


TestLoads = Loads.TestCase
TestLoads.settings = settings(max_examples=50, stateful_step_count=40)
