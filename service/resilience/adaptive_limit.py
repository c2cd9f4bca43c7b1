"""
How much work may be under way at once, found out from how long work waits to begin.

What an event loop can't keep up with waits between being read and being begun. While
that delay is short, the limit rises by steps; while it is long, the limit comes down to
a share of what is really in flight. The duration of the work itself says nothing: a
thousand requests that sleep cost no more than one.

    judged    every window of 2.5 target delays: bad when the mean delay was above the
              target. Overloaded after five bad ones in a row, or one while the limit
              is down; until a good one. A burst that is worked off by then is none.
    down      with each bad window while overloaded, to 0.7 of what is in flight
    up        every 0.1 s that is not late, by 1 at first, by four times as much with
              each half second that is good: 10,000 are back within four seconds

Source: additive increase, multiplicative decrease: Chiu and Jain, "Analysis of the
Increase and Decrease Algorithms", 1989; the growing step is the slow start of RFC 5681;
the mean queueing time of a window as the signal is that of DAGOR (Zhou et al.,
"Overload Control for Scaling WeChat Microservices", 2018).
"""

from dataclasses import dataclass

__all__ = ["UNLIMITED", "AdaptiveLimit", "Bounds"]

UNLIMITED = 1_000_000
"""What stands for no limit: more than one process can hold."""

WINDOW = 2.5
"""Target delays over which the delay is averaged."""

BURST = 5
"""Bad windows in a row that are an overload and not a burst."""

SILENCE = 10
"""Windows without anything after which nothing is left of what was known."""

STEP = 0.1
"""Seconds between two steps up."""

_DECREASE = 0.7
_FASTER, _EVERY = 4, 0.5
"""How much larger the steps become, and after how many seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """
    Between what the limit moves, and by what.

    Attributes:
        least: Lowest limit, >= 1.
        most: Highest limit, where it begins; 0 is none.
        target_delay: Seconds that work may wait, > 0.
        adaptive: Whether the limit moves at all.
    """

    least: int
    most: int
    target_delay: float
    adaptive: bool = True


class AdaptiveLimit:
    """
    A limit that follows the delay.

    Args:
        bounds: Between what it moves.

    Attributes:
        value: Most that may be in flight now.
        overloaded: Whether work has been waiting too long for some time.
        target_delay: Seconds that work may wait.

    Concurrency:
        For one thread, such as an event loop; the attributes may be read by any.
    """

    __slots__ = (
        "_bad",
        "_bad_at",
        "_bounds",
        "_count",
        "_judged_at",
        "_step_at",
        "_sum",
        "overloaded",
        "target_delay",
        "value",
    )

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self.value = _most(bounds)
        self.target_delay = bounds.target_delay
        self.overloaded = False
        self._sum = 0.0
        self._count = 0
        self._bad = 0
        self._bad_at = self._step_at = self._judged_at = 0.0

    @property
    def bounds(self) -> Bounds:
        """Between what the limit moves; new ones take effect at once."""
        return self._bounds

    @bounds.setter
    def bounds(self, bounds: Bounds) -> None:
        fresh = not bounds.adaptive or self.value == _most(self._bounds)
        self._bounds = bounds
        self.target_delay = bounds.target_delay
        if not bounds.adaptive:
            self.overloaded = False
        self._set(_most(bounds) if fresh else self.value)

    def observe(self, delay: float, *, in_flight: int, now: float) -> None:
        """
        Take in how long something had to wait.

        Args:
            delay: Seconds it has waited.
            in_flight: How much is under way.
            now: The time in seconds; it must not go backwards.
        """
        self._sum += delay
        self._count += 1
        if now >= self._judged_at:
            self._judge(delay, in_flight, now)
        elif now >= self._step_at:
            self._rise(delay, now)

    def _judge(self, delay: float, in_flight: int, now: float) -> None:
        """Close the window and open the next; after a silence the last delay counts."""
        window = WINDOW * self.target_delay
        idle = now > self._judged_at + SILENCE * window
        mean = delay if idle else self._sum / self._count
        self._sum, self._count = 0.0, 0
        self._judged_at = now + window
        if not self._bounds.adaptive:
            return
        if mean > self.target_delay:
            self._bad_at = now
            self._fall(in_flight)
            return
        self._bad, self.overloaded = 0, False
        if idle:
            self._set(_most(self._bounds))

    def _fall(self, in_flight: int) -> None:
        self._bad += 1
        recovering = self.value < _most(self._bounds)
        if recovering or self._bad >= BURST:
            self.overloaded = True
            self._set(min(self.value, int(in_flight * _DECREASE)))

    def _rise(self, delay: float, now: float) -> None:
        self._step_at = now + STEP
        if self.overloaded or delay > self.target_delay:
            return
        good = int((now - self._bad_at) / _EVERY)
        self._set(self.value + _FASTER ** min(good, 10))

    def _set(self, value: int) -> None:
        bounds = self._bounds
        most = _most(bounds)
        self.value = max(min(bounds.least, most), min(value, most))


def _most(bounds: Bounds) -> int:
    return bounds.most or UNLIMITED
