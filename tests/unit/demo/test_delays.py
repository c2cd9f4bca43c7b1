"""The histogram of the page."""

from hypothesis import given
from hypothesis import strategies as st

from service.demo.delays import DelayHistogram


def test_empty_histogram_has_no_quantiles():
    """Nothing counted: null, not zero."""
    told = DelayHistogram(2.0).snapshot()

    assert told["count"] == 0
    assert (told["p50"], told["p90"], told["p99"]) == (None, None, None)


def test_bound_belongs_to_the_bucket_below():
    """Upper bounds are included, as Prometheus has it."""
    histogram = DelayHistogram(2.0)
    for seconds in (0.0, 0.1, 0.11, 2.0, 2.01):
        histogram.observe(seconds)

    counts = histogram.snapshot()["counts"]

    assert (counts[0], counts[1], counts[19], counts[20]) == (2, 1, 1, 1)


def test_quantiles_are_nearest_ranks():
    """Of 1 to 100 hundredths, p90 is the ninetieth."""
    histogram = DelayHistogram(2.0)
    for hundredths in range(100, 0, -1):
        histogram.observe(hundredths / 100)

    told = histogram.snapshot()

    assert (told["p50"], told["p90"], told["p99"]) == (0.5, 0.9, 0.99)


def test_histogram_of_no_delay_has_buckets():
    """A longest delay of 0 does not make every bound 0."""
    histogram = DelayHistogram(0.0)
    histogram.observe(0.0)

    assert histogram.snapshot()["bounds"][-1] == 1.0
    assert histogram.snapshot()["counts"][0] == 1


@given(
    delays=st.lists(st.floats(0, 5), max_size=100),
    longest=st.floats(0.001, 100),
)
def test_every_delay_is_in_one_bucket(delays, longest):
    """Counts add up, also after the buckets were fitted to another longest delay."""
    histogram = DelayHistogram(2.0)
    for seconds in delays:
        histogram.observe(seconds)
    histogram.fit(longest)

    told = histogram.snapshot()

    assert told["count"] == sum(told["counts"]) == len(delays)
    assert len(told["counts"]) == len(told["bounds"]) + 1
