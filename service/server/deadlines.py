"""
Time limits of many tasks by one timer.

`asyncio.timeout` sets and clears a timer of the event loop for each use, which costs a
small request a good part of its time. One timer that looks at all tasks, each
`RESOLUTION` while there are any, does the same for next to nothing.
"""

import asyncio
import time

__all__ = ["Deadlines"]

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
        self._ends: dict[asyncio.Task[object], float] = {}
        self._expired: set[asyncio.Task[object]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, end: float) -> asyncio.Task[object]:
        """
        Cancel the current task at *end*, unless `finish` comes first.

        Args:
            end: `time.monotonic()` value.

        Returns:
            The task, for `finish`.
        """
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - narrows the type: only tasks await
        self._ends[task] = end
        if self._timer is None:
            self._arm()
        return task

    def reached(self, task: asyncio.Task[object]) -> bool:
        """Return whether the cancellation of *task* is ours, and take it back."""
        return task in self._expired and task.uncancel() <= 0

    def finish(self, task: asyncio.Task[object]) -> None:
        """Take the limit off *task*."""
        self._ends.pop(task, None)
        self._expired.discard(task)

    def _arm(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(RESOLUTION, self._look)

    def _look(self) -> None:
        now = time.monotonic()
        for task in [task for task, end in self._ends.items() if end <= now]:
            del self._ends[task]
            self._expired.add(task)
            task.cancel()
        self._timer = None
        if self._ends:
            self._arm()
