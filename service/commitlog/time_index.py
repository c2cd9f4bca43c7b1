"""
From a time to an offset.

The log gives the timestamps and never lets them go back, so the entries are sorted and
the first record at or after a time is found by bisection and a short read.
"""

from array import array
from bisect import bisect_left

__all__ = ["TimeIndex"]


class TimeIndex:
    """
    Timestamps of some of the records.

    Attributes:
        stamps: Milliseconds since 1970, in order.

    Concurrency: one thread adds, any thread looks up.
    """

    def __init__(self) -> None:
        self.stamps = array("q")
        self._offsets = array("Q")

    def add(self, timestamp: int, offset: int) -> None:
        """Add an entry, not before the last one."""
        self._offsets.append(offset)
        self.stamps.append(timestamp)

    def offset_before(self, timestamp: int, *, default: int) -> int:
        """Return an offset whose record, and all before it, are before *timestamp*."""
        found = bisect_left(self.stamps, timestamp)
        return self._offsets[found - 1] if found else default
