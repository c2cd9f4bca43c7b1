"""
A bulkhead: a part may have so many requests in flight and no more, so that a part that
hangs can't take the room of the others.

Source: Nygard, "Release It!", 2007; the bulkhead of a ship keeps the water of one
compartment from the next.
"""

from threading import Lock
from types import TracebackType
from typing import Self

from typing_extensions import override

from service.resilience.events import Event, Observe, ignore
from service.resilience.guarding import Guard

__all__ = ["Bulkhead", "BulkheadFull"]


class BulkheadFull(Exception):
    """There is no room; come again later."""


class Bulkhead(Guard):
    """
    Room for so many calls at a time: `with bulkhead: …`, a decorator, or `try_enter`
    and `leave`.

    Args:
        limit: Most that may be in flight, >= 1; it may be changed at any time, and what
            is in flight stays.
        name: What has the room, for events.
        observe: Told of `full` when a block or a decorated call is refused.

    Attributes:
        limit: The same.
        in_flight: How much is under way.

    Raises:
        BulkheadFull: On entering, when there is no room.

    Concurrency:
        Any thread; nothing waits, nothing is queued.
    """

    __slots__ = ("_lock", "_name", "_observe", "in_flight", "limit")

    def __init__(
        self, limit: int, *, name: str = "", observe: Observe = ignore
    ) -> None:
        if limit < 1:
            raise ValueError("limit must be at least 1")
        self.limit = limit
        self.in_flight = 0
        self._name = name
        self._observe = observe
        self._lock = Lock()

    def try_enter(self) -> bool:
        """Take room and return True, unless there is none: call `leave` when done."""
        with self._lock:
            if self.in_flight >= self.limit:
                return False
            self.in_flight += 1
            return True

    def leave(self) -> None:
        """Give the room back."""
        with self._lock:
            self.in_flight -= 1

    @override
    def guarded(self) -> Self:
        """Return the block around one call, which is the bulkhead itself."""
        return self

    def __enter__(self) -> Self:
        if not self.try_enter():
            self._observe(Event("bulkhead", self._name, "full", {"limit": self.limit}))
            raise BulkheadFull
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.leave()
