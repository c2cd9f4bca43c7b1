"""Distributions of injected delays: right means, repeatable, never above the cap."""

from random import Random
from statistics import fmean, pstdev

import pytest
from pydantic import TypeAdapter, ValidationError

from service.control.delays import LONGEST, Delay

ADAPTER = TypeAdapter(Delay)

SAMPLES = 20_000


def delay(**members):
    return ADAPTER.validate_python(members)


def drawn(seed=1, count=SAMPLES, **members):
    chance = Random(seed)
    each = delay(**members)
    return [each.draw(chance) for _ in range(count)]


@pytest.mark.parametrize(
    ("members", "mean", "deviation"),
    [
        ({"distribution": "fixed", "seconds": 0.2}, 0.2, 0.0),
        ({"distribution": "uniform", "low": 0.1, "high": 0.5}, 0.3, 0.4 / 12**0.5),
        ({"distribution": "normal", "mean": 0.5, "deviation": 0.1}, 0.5, 0.1),
        ({"distribution": "exponential", "mean": 0.2}, 0.2, 0.2),
        # shape 4: mean scale·4/3, variance scale²·4/(9·2)
        ({"distribution": "pareto", "scale": 0.3, "shape": 4.0}, 0.4, 0.3 * 2**0.5 / 3),
    ],
    ids=["fixed", "uniform", "normal", "exponential", "pareto"],
)
def test_many_delays_have_the_mean_and_spread_of_their_distribution(
    members, mean, deviation
):
    """What is asked for is what comes, within two percent (ten of the spread)."""
    found = drawn(**members)

    assert fmean(found) == pytest.approx(mean, rel=0.02)
    assert pstdev(found) == pytest.approx(deviation, rel=0.1, abs=1e-9)


def test_same_seed_gives_the_same_delays():
    """A run can be repeated, and another seed is another run."""
    members = {"distribution": "exponential", "mean": 0.2}

    assert drawn(7, 5, **members) == drawn(7, 5, **members)
    assert drawn(7, 5, **members) != drawn(8, 5, **members)


def test_tail_is_cut_at_the_cap():
    """A pareto of shape 1 has no mean at all; its cap holds it."""
    found = drawn(distribution="pareto", scale=0.1, shape=1.0, cap=0.5)

    assert max(found) == 0.5
    assert min(found) >= 0.1


def test_tail_longer_than_numbers_is_cut_at_the_cap():
    """Half of what this shape gives is more than a float can hold."""
    found = drawn(distribution="pareto", scale=0.1, shape=0.001, cap=0.5)

    assert max(found) == 0.5
    assert min(found) >= 0.1


def test_delay_is_never_below_zero():
    """Half of this normal distribution would be in the past."""
    found = drawn(distribution="normal", mean=0.0, deviation=1.0)

    assert min(found) == 0.0


@pytest.mark.parametrize(
    "members",
    [
        {"distribution": "fixed", "seconds": -1.0},
        {"distribution": "fixed", "seconds": LONGEST + 1},
        {"distribution": "fixed", "seconds": "1"},
        {"distribution": "fixed", "seconds": 1.0, "mean": 1.0},
        {"distribution": "fixed", "seconds": 1.0, "cap": LONGEST + 1},
        {"distribution": "uniform", "low": 0.5, "high": 0.1},
        {"distribution": "exponential", "mean": 0.0},
        {"distribution": "pareto", "scale": 0.1, "shape": 0.0},
        {"distribution": "pareto", "scale": float("nan"), "shape": 1.0},
        {"distribution": "cauchy"},
        {"seconds": 1.0},
    ],
    ids=str,
)
def test_delay_that_makes_no_sense_is_refused(members):
    """Out of range, of another type, or of another distribution."""
    with pytest.raises(ValidationError):
        delay(**members)
