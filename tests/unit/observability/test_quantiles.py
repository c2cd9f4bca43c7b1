"""Quantiles of buckets, against known answers and against the values themselves."""

import bisect
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.observability.quantiles import histogram_quantile

INF = math.inf


@pytest.mark.parametrize(
    ("share", "buckets", "expected"),
    [
        pytest.param(0.5, {1: 50, 2: 100, INF: 100}, 1.0, id="at a bound"),
        pytest.param(0.9, {1: 50, 2: 100, INF: 100}, 1.8, id="between bounds"),
        pytest.param(0.25, {1: 50, 2: 100, INF: 100}, 0.5, id="first begins at 0"),
        pytest.param(0.99, {1: 50, 2: 60, INF: 100}, 2.0, id="above the last bound"),
        pytest.param(0.5, {-1: 50, 2: 100, INF: 100}, -1.0, id="first below 0"),
        pytest.param(0.9, {-1: 50, 1: 100, INF: 100}, 0.6, id="from below 0"),
        pytest.param(0.5, {1: 0, 2: 0, 4: 8, INF: 8}, 3.0, id="empty ones before"),
        pytest.param(0.5, {1: 10, 2: 8, 4: 20, INF: 20}, 1.0, id="falls: raised"),
        pytest.param(0.0, {1: 0, 2: 4, INF: 4}, 0.0, id="nothing in the first"),
        pytest.param(1.0, {1: 1, 2: 4, INF: 4}, 2.0, id="all"),
        pytest.param(0.5, {1: 0.25, 2: 0.5, INF: 0.5}, 1.0, id="rates"),
    ],
)
def test_quantile_is_that_of_prometheus(share, buckets, expected):
    """Known answers; those that Prometheus' own tests have are among them."""
    assert histogram_quantile(share, buckets) == pytest.approx(expected)


@pytest.mark.parametrize(
    "buckets",
    [
        pytest.param({}, id="none"),
        pytest.param({INF: 3}, id="no bound"),
        pytest.param({1: 3, 2: 4}, id="no +Inf"),
        pytest.param({1: 0, INF: 0}, id="nothing counted"),
    ],
)
def test_quantile_of_nothing_is_nan(buckets):
    """What can't be told is not a number."""
    assert math.isnan(histogram_quantile(0.5, buckets))


BOUNDS = [0.005, 0.01, 0.1, 0.5, 1.0, 2.5, 10.0]


@given(
    values=st.lists(st.floats(0.0001, 10), min_size=1, max_size=200),
    share=st.floats(0.01, 1),
)
def test_quantile_is_in_the_bucket_of_the_real_one(values, share):
    """Whatever was counted, the estimate is off by its bucket at most."""
    buckets = {each: float(sum(v <= each for v in values)) for each in BOUNDS}
    buckets[INF] = float(len(values))
    rank = max(1, math.ceil(round(share * len(values), 9)))
    real = sorted(values)[rank - 1]
    at = bisect.bisect_left(BOUNDS, real)
    low = BOUNDS[at - 1] if at else 0.0

    estimate = histogram_quantile(share, buckets)

    assert low * (1 - 1e-9) <= estimate <= BOUNDS[at] * (1 + 1e-9)


@given(
    counts=st.lists(st.integers(0, 1000), min_size=8, max_size=8).filter(any),
    shares=st.lists(st.floats(0, 1), min_size=2, max_size=2).map(sorted),
)
def test_quantile_rises_with_its_share(counts, shares):
    """p50 is never above p90."""
    total, buckets = 0, {}
    for bound, count in zip([*BOUNDS, INF], counts, strict=True):
        total += count
        buckets[bound] = float(total)
    low, high = (histogram_quantile(each, buckets) for each in shares)

    assert low <= high * (1 + 1e-9)
