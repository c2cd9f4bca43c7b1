"""
Tests of what waits, in no time: an event loop whose clock jumps to the next timer.

    @in_virtual_time
    async def test_…(): ...         `asyncio.sleep(3600)` takes a moment

Only for what waits for timers and other tasks: nobody tells the clock that a thread or
another process is at work.
"""

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

from typing_extensions import override

__all__ = ["VirtualLoop", "in_virtual_time"]


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose time passes only while nobody has anything to do."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_Jumping(self._jump))

    @override
    def time(self) -> float:
        """Return the seconds since the loop began."""
        return self._now

    def _jump(self, seconds: float) -> None:
        self._now += seconds


class _Jumping(selectors.DefaultSelector):
    """Lets time pass where others wait."""

    def __init__(self, jump: Callable[[float], None]) -> None:
        super().__init__()
        self._jump = jump

    @override
    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            return super().select(None)
        ready = super().select(0)
        if not ready and timeout > 0:
            self._jump(timeout)
        return ready


def in_virtual_time(
    test: Callable[..., Coroutine[Any, Any, None]],
) -> Callable[..., None]:
    """Return *test*, a coroutine function, as a plain one in virtual time."""

    @functools.wraps(test)
    def run(*args: object, **kwargs: object) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run
