"""Waiting for a condition, in another process or task, that can only be looked at."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["fulfilled", "until"]

Found = TypeVar("Found")


def until(condition: Callable[[], Found], *, limit: float = 60.0) -> Found:
    """Look until *condition* gives something true; fail after *limit* seconds."""
    end = time.monotonic() + limit
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {limit} seconds"
        time.sleep(0.02)
    return found


async def fulfilled(condition: Callable[[], object], *, limit: float = 60.0) -> None:
    """Do the same while other tasks go on."""
    async with asyncio.timeout(limit):
        while not condition():
            await asyncio.sleep(0.01)
