"""
Streams that have no end of their own, and how they are ended.

A consumer waits for records, a watcher of the health for a change: each may wait for
ever. What they wait in has a time limit that is set only when there is a reason.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from service.log_api.errors import CallRefused, Reason

__all__ = ["Endings", "Waiting"]


class Waiting:
    """
    A wait of one stream that others may end.

    Args:
        limit: The time limit of the wait, without a time so far.
        check: Raises CallRefused when its caller may no longer have the stream.
    """

    def __init__(self, limit: asyncio.Timeout, *, check: Callable[[], object]) -> None:
        self._limit, self._check = limit, check
        self.reason: Reason | None = None
        """Why the wait was ended."""

    def end(self, reason: Reason) -> None:
        """End the wait as soon as the event loop turns."""
        if self.reason is None:
            self.reason = reason
            self._limit.reschedule(asyncio.get_running_loop().time())

    def look(self) -> None:
        """End the wait if its caller may no longer have the stream."""
        try:
            self._check()
        except CallRefused as refused:
            self.end(refused.reason)

    def within(self, seconds: float | None) -> None:
        """Let what is awaited next take *seconds*; None: as long as it wants."""
        if self.reason is None:
            when = seconds and asyncio.get_running_loop().time() + seconds
            self._limit.reschedule(when)


class Endings:
    """
    The waits of all streams of a server.

    Concurrency:
        For one event loop.
    """

    def __init__(self) -> None:
        self._open: set[Waiting] = set()
        self._stopping = False

    def stop(self) -> None:
        """End all waits, and any that begins from now on."""
        self._stopping = True
        for each in self._open:
            each.end(Reason.STOPPING)

    def look(self) -> None:
        """End the waits of those who may no longer have their stream."""
        for each in self._open:
            each.look()

    @asynccontextmanager
    async def waiting(
        self,
        *,
        too_slow: Reason = Reason.SLOW_CONSUMER,
        check: Callable[[], object] = lambda: None,
    ) -> AsyncIterator[Waiting]:
        """
        Let the block be ended by `stop`, or by `look`.

        Args:
            too_slow: Why it ended when what it awaited took longer than it let it.
            check: Raises CallRefused when the caller may no longer have the stream;
                called at each `look`.

        Raises:
            CallRefused: It was.
        """
        try:
            async with asyncio.timeout(None) as limit:
                waiting = Waiting(limit, check=check)
                self._open.add(waiting)
                if self._stopping:
                    waiting.end(Reason.STOPPING)
                try:
                    yield waiting
                finally:
                    self._open.discard(waiting)
        except TimeoutError:
            raise CallRefused(waiting.reason or too_slow) from None
