"""
Time limits of many tasks by one timer.

`asyncio.timeout` sets and clears a timer of the event loop for each use, which costs a
small request a good part of its time. One timer that looks at all tasks, each
`RESOLUTION` while there are any, does the same for next to nothing.
"""

import asyncio
import time
from collections.abc import Hashable
from typing import Any

from service.server.exchange import Exchange

__all__ = ["Deadlines", "taken_back"]

RESOLUTION = 0.05
"""Seconds between two looks: a limit is kept to within this."""


class Deadlines:
    """
    The time limits of one event loop.

    Concurrency:
        For tasks of one event loop; a task may hold one limit at a time.
    """

    __slots__ = ("_ends", "_expired", "_timer")

    def __init__(self) -> None:
        self._ends: dict[Hashable, float] = {}
        self._expired: set[Hashable] = set()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, end: float, send: object = None) -> Hashable:
        """
        Cancel the current task at *end*, unless `finish` comes first.

        Args:
            end: `time.monotonic()` value.
            send: The request's ASGI `send`: our listener's knows the task, so that it
                need not be looked for.

        Returns:
            What to call `finish` with.
        """
        holder = send if isinstance(send, Exchange) else asyncio.current_task()
        self._ends[holder] = end
        if self._timer is None:
            self._arm()
        return holder

    def finish(self, holder: Hashable) -> bool:
        """Take the limit off; return whether it was reached."""
        self._ends.pop(holder, None)
        if holder not in self._expired:
            return False
        self._expired.discard(holder)
        return True

    def _arm(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(RESOLUTION, self._look)

    def _look(self) -> None:
        now = time.monotonic()
        for holder in [each for each, end in self._ends.items() if end <= now]:
            del self._ends[holder]
            if isinstance(holder, Exchange) and holder.answered:
                continue  # what runs on in the background keeps nobody waiting
            task = _task(holder)
            if task is not None:
                self._expired.add(holder)
                task.cancel()
        self._timer = None
        if self._ends:
            self._arm()


def _task(holder: Any) -> asyncio.Task[Any] | None:
    return holder.task if isinstance(holder, Exchange) else holder


def taken_back() -> bool:
    """Take the cancellation of a limit back; whether nobody else has cancelled too."""
    task = asyncio.current_task()
    return task is not None and task.uncancel() <= 0
