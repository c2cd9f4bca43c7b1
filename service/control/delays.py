"""
How long an injected delay takes: one model for each distribution.

A real dependency is seldom late by a fixed time: `exponential` is the usual queue,
`pareto` the one with a long tail, `normal` a network with jitter.

    {"distribution": "fixed", "seconds": 0.2}
    {"distribution": "uniform", "low": 0.1, "high": 0.5}
    {"distribution": "normal", "mean": 0.2, "deviation": 0.05}
    {"distribution": "exponential", "mean": 0.2}
    {"distribution": "pareto", "scale": 0.1, "shape": 2.5}

Each takes `cap` too, the longest delay in seconds: what is drawn above it is cut to it.
"""

import math
from random import Random
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from typing_extensions import override

__all__ = [
    "LONGEST",
    "Delay",
    "Document",
    "Exponential",
    "Fixed",
    "Normal",
    "Pareto",
    "Uniform",
]

LONGEST = 60.0
"""Seconds that `cap` may grant at most: no fault holds a request for ever."""

Seconds = Annotated[float, Field(ge=0, le=LONGEST)]


class Document(BaseModel):
    """A JSON object of the control endpoints: nothing is converted, nothing ignored."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False
    )


class _Delay(Document):
    cap: Seconds = 10.0

    def draw(self, chance: Random) -> float:
        """
        Return a delay in seconds, 0 to `cap`.

        Args:
            chance: Where randomness comes from; the same seed gives the same delays.
        """
        return min(max(self.sample(chance), 0.0), self.cap)

    def sample(self, chance: Random) -> float:
        """Return a value of the distribution, whatever it is."""
        raise NotImplementedError


class Fixed(_Delay):
    """Always the same."""

    distribution: Literal["fixed"]
    seconds: Seconds

    @override
    def sample(self, chance: Random) -> float:
        return self.seconds


class Uniform(_Delay):
    """Anything between two bounds."""

    distribution: Literal["uniform"]
    low: Seconds
    high: Seconds

    @model_validator(mode="after")
    def _bounds_rise(self) -> Self:
        if self.low > self.high:
            raise ValueError("low must not be above high")
        return self

    @override
    def sample(self, chance: Random) -> float:
        return chance.uniform(self.low, self.high)


class Normal(_Delay):
    """Around a mean; what would be below 0 is 0."""

    distribution: Literal["normal"]
    mean: Seconds
    deviation: Seconds

    @override
    def sample(self, chance: Random) -> float:
        return chance.normalvariate(self.mean, self.deviation)


class Exponential(_Delay):
    """Mostly short, sometimes several times the mean."""

    distribution: Literal["exponential"]
    mean: Annotated[Seconds, Field(gt=0)]

    @override
    def sample(self, chance: Random) -> float:
        return chance.expovariate(1 / self.mean)


class Pareto(_Delay):
    """
    A long tail: its mean is `scale`·`shape`/(`shape` - 1) for a shape above 1.

    Source: https://en.wikipedia.org/wiki/Pareto_distribution
    """

    distribution: Literal["pareto"]
    scale: Annotated[Seconds, Field(gt=0)]
    shape: Annotated[float, Field(gt=0, le=100)]

    @override
    def sample(self, chance: Random) -> float:
        try:
            return self.scale * chance.paretovariate(self.shape)
        except OverflowError:  # a small shape gives more than a float can hold
            return math.inf


Delay = Annotated[
    Fixed | Uniform | Normal | Exponential | Pareto,
    Field(discriminator="distribution"),
]
"""A delay of any distribution."""
