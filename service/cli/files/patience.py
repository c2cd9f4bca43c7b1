"""How often a transfer that is cut goes on, and how long it waits before it does."""

import asyncio

__all__ = ["Patience"]

_FIRST, _LONGEST = 0.2, 5.0


class Patience:
    """
    Attempts in a row that brought nothing.

    Args:
        most: How many of them there may be.

    Concurrency: one task.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._failed = 0

    def progressed(self) -> None:
        """Note that something came through."""
        self._failed = 0

    async def wait(self, error: Exception) -> None:
        """Wait before another attempt; raise *error* when there were enough."""
        self._failed += 1
        if self._failed > self._most:
            raise error
        await asyncio.sleep(min(_FIRST * 2 ** (self._failed - 1), _LONGEST))
