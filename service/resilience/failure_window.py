"""
How many of the calls of the last seconds have failed.

The window is a ring of slices: what is older than all of them is forgotten a slice at a
time, so a count costs no more with a million calls than with ten.
"""

from dataclasses import dataclass

__all__ = ["FailureWindow"]

_SLICES = 10


@dataclass(slots=True)
class _Slice:
    number: int = -1
    calls: int = 0
    failures: int = 0


class FailureWindow:
    """
    Calls and failures of the last *length* seconds, to a tenth of it.

    Args:
        length: Seconds, > 0.

    Concurrency:
        For one thread, or under its user's lock.
    """

    __slots__ = ("_length", "_slices")

    def __init__(self, length: float) -> None:
        self._length = length / _SLICES
        self._slices = [_Slice() for _ in range(_SLICES)]

    def add(self, now: float, *, failed: bool) -> None:
        """Count a call that ended at *now*, in seconds of any clock that rises."""
        number = int(now / self._length)
        current = self._slices[number % _SLICES]
        if current.number != number:
            current.number, current.calls, current.failures = number, 0, 0
        current.calls += 1
        current.failures += failed

    def totals(self, now: float) -> tuple[int, int]:
        """Return calls and failures of the window that ends at *now*."""
        oldest = int(now / self._length) - _SLICES + 1
        recent = [each for each in self._slices if each.number >= oldest]
        return sum(s.calls for s in recent), sum(s.failures for s in recent)

    def clear(self) -> None:
        """Forget everything."""
        self._slices = [_Slice() for _ in range(_SLICES)]
