"""
Turns: one request at a time goes on with an upload, and it is the last that came.

A client comes back when it thinks that its connection is lost, while the service may
still wait for more on it. The request before is ended then: its client can't be there.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

__all__ = ["Turns"]


class Turns:
    """
    Who goes on with what.

    Concurrency: tasks of one event loop.
    """

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[object] | None] = {}
        self._undisturbed: set[str] = set()

    @asynccontextmanager
    async def of(self, name: str) -> AsyncIterator[None]:
        """Take the turn from whoever has it, once that has let go."""
        me = asyncio.current_task()
        while (other := self._tasks.get(name)) is not None:
            if name not in self._undisturbed:
                other.cancel()
            await asyncio.wait([other])
        self._tasks[name] = me
        try:
            yield
        finally:
            if self._tasks.get(name) is me:
                del self._tasks[name]

    @contextmanager
    def undisturbed(self, name: str) -> Iterator[None]:
        """Let whoever comes now wait: what is done here is done to its end."""
        self._undisturbed.add(name)
        try:
            yield
        finally:
            self._undisturbed.discard(name)
