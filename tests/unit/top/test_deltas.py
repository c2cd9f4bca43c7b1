"""What happened between two scrapes, as Prometheus has it."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.observability.reading import read_exposition
from service.top.deltas import change_between
from service.top.scrape import Scrape


def scrape(at: float, text: str) -> Scrape:
    return Scrape(at, read_exposition(text))


def exposed(count: float, *, start: float = 100, gauge: float = 1) -> str:
    return (
        f'# TYPE a_total counter\na_total{{x="1"}} {count}\n'
        f"# TYPE g gauge\ng {gauge}\n"
        f"process_start_time_seconds {start}\n"
    )


def rates(before: str | None, after: str, seconds: float = 2.0) -> list[float]:
    earlier = None if before is None else scrape(10.0, before)
    change = change_between(earlier, scrape(10.0 + seconds, after))
    return [rate for _, rate in change.rates("a_total")]


def test_rise_is_divided_by_the_time_between():
    """Ten more in two seconds are five a second."""
    assert rates(exposed(10), exposed(20)) == [5.0]


def test_counter_that_fell_has_begun_anew():
    """After a reset all of it is new, and nothing is below 0."""
    assert rates(exposed(100), exposed(6)) == [3.0]


def test_restart_is_seen_where_the_counter_has_passed_the_old_value():
    """The start of the process tells; all of the counter is new."""
    assert rates(exposed(10), exposed(20, start=200)) == [10.0]


def test_new_series_has_risen_from_nothing():
    """A label that was not there begins at 0."""
    assert rates("# TYPE b counter\nb_total 1\n", exposed(4, start=1)) == [2.0]


def test_first_scrape_has_gauges_and_no_rates():
    """One look tells what is, not what happens."""
    change = change_between(None, scrape(1.0, exposed(4, gauge=7)))

    assert list(change.rates("a_total")) == []
    assert change.now["g"] == [({}, 7.0)]


@given(st.lists(st.floats(0, 1e12), min_size=2, max_size=20))
def test_no_rate_is_ever_below_zero(values):
    """Whatever a counter does."""
    for before, after in itertools.pairwise(values):
        assert rates(exposed(before), exposed(after))[0] >= 0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -5, 1.7e308])
@pytest.mark.parametrize("believable", [1, None], ids=["before", "always"])
def test_counter_that_cannot_be_true_is_left_out(value, believable):
    """No sum becomes NaN or infinite by it."""
    before = exposed(value if believable is None else believable)

    assert rates(before, exposed(value)) == []


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.7e308])
def test_gauge_that_cannot_be_true_is_left_out(value):
    """What is shown is finite."""
    now = change_between(None, scrape(1, exposed(1, gauge=value))).now

    assert "g" not in now
