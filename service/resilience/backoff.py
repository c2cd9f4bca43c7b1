"""
How long to wait before trying again: exponential, capped, and spread by chance, so that
many who failed together don't come back together.

Source: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Backoff", "Jitter"]

Jitter = Literal["full", "decorrelated", "none"]
"""`full`: between 0 and the exponential wait. `decorrelated`: between the first wait
and three times the last one. `none`: the exponential wait itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """
    Waits between attempts.

    Attributes:
        first: Seconds before the second attempt, at most, > 0.
        most: Longest wait in seconds.
        factor: How much longer each wait is than the one before.
        jitter: How chance changes them.
        chance: Where chance comes from.
    """

    first: float = 0.1
    most: float = 10.0
    factor: float = 2.0
    jitter: Jitter = "full"
    chance: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        if self.first <= 0 or self.most < self.first or self.factor < 1:
            raise ValueError("first must be above 0, most >= first, factor >= 1")

    def waits(self) -> Iterator[float]:
        """Yield the seconds to wait, without end."""
        wait = self.first
        while True:
            if self.jitter == "decorrelated":
                top = max(self.first, wait * 3)
                wait = min(self.most, self.chance.uniform(self.first, top))
                yield wait
                continue
            yield self.chance.uniform(0.0, wait) if self.jitter == "full" else wait
            wait = min(self.most, wait * self.factor)
