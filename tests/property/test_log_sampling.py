"""Whatever comes, whenever: written and told as left out are all that was asked for."""

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from service.observability.log_sampler import KEYS, Sampler
from service.settings import SamplingSettings
from tests.support.clock import Clock

LEVELS = ("debug", "info", "error")

SETTINGS = st.builds(
    SamplingSettings,
    first=st.integers(0, 4),
    then_every=st.integers(0, 4),
    levels=st.lists(st.sampled_from(LEVELS), unique=True),
)


class Sampling(RuleBasedStateMachine):
    """Lines of some keys, a clock, live settings, and looks for floods that ended."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.settings = SamplingSettings(first=1, then_every=2)
        self.sampler = Sampler(self.settings, clock=self.clock)
        self.asked: Counter[str] = Counter()
        self.written: Counter[str] = Counter()
        self.told: Counter[str] = Counter()
        self.counted: Counter[str] = Counter()

    def ask(self, level: str, event: str) -> None:
        dropped = self.sampler.ask(level, (level, "logger", event))
        self.asked[level] += 1
        if dropped is not None:
            self.written[level] += 1
            self.told[level] += dropped
        if level not in self.settings.levels or not self.settings.first:
            assert dropped == 0

    @rule(
        level=st.sampled_from(LEVELS),
        event=st.sampled_from("abc"),
        times=st.integers(1, 9),
    )
    def lines_come(self, level, event, times):
        for _ in range(times):
            self.ask(level, event)

    @rule(level=st.sampled_from(LEVELS), number=st.integers(0, 9))
    def ever_new_events_come(self, level, number):
        for each in range(KEYS // 2):
            self.ask(level, f"{number} {each}")

    @rule(seconds=st.sampled_from([0.1, 0.5, 0.999, 1.0, 1.5, 2.0, 60.0]))
    def time_goes_on(self, seconds):
        self.clock.now += seconds

    @rule(settings=SETTINGS)
    def settings_change(self, settings):
        self.settings = settings
        self.sampler.adapt(settings)

    @rule(all_of_them=st.booleans())
    def floods_end(self, all_of_them):
        for flood in self.sampler.ended(all_of_them=all_of_them):
            assert flood.dropped > 0
            self.told[str(flood.key[0])] += flood.dropped

    @rule()
    def metric_is_brought_up_to_date(self):
        self.counted += self.sampler.take_left_out()

    @invariant()
    def no_more_is_told_than_was_left_out(self):
        for level in LEVELS:
            assert self.written[level] + self.told[level] <= self.asked[level]

    @invariant()
    def memory_is_bounded(self):
        assert len(self.sampler._counts) <= KEYS + len(LEVELS)

    def teardown(self):
        self.floods_end(all_of_them=True)
        self.metric_is_brought_up_to_date()
        assert self.written + self.told == self.asked
        assert self.counted == self.told


Sampling.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
TestSampling = Sampling.TestCase
