"""Wakes every task that waits for the log to grow."""

import asyncio

from service.commitlog.errors import LogClosed

__all__ = ["Bell"]


class Bell:
    """
    Rings when something was appended.

    Concurrency: for one event loop.
    """

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.closed = False

    def ring(self) -> None:
        """Wake those that wait now."""
        event, self._event = self._event, asyncio.Event()
        event.set()

    def close(self) -> None:
        """Wake all, with LogClosed."""
        self.closed = True
        self.ring()

    def check(self) -> None:
        """Raise LogClosed when it is."""
        if self.closed:
            raise LogClosed("the log was closed")

    async def wait(self) -> None:
        """Wait for the next ring."""
        await self._event.wait()
        self.check()
