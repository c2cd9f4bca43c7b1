"""
The end of tasks that would go on for ever.

One cancellation may be lost: before Python 3.12 `asyncio.wait_for`, which libraries
use, drops one that comes in the moment in which its work is done. A task that loops
then goes on, and whoever waits for its end waits for ever.

Source: https://bugs.python.org/issue42130
"""

import asyncio
from collections.abc import Iterable
from typing import Any

__all__ = ["cancelled"]

_AGAIN = 1.0
"""Seconds after which a task that did not end is cancelled once more."""


async def cancelled(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """
    Cancel *tasks*, again if need be, and return when all of them have ended.

    What they raise is dropped.

    Concurrency:
        Whoever is cancelled while it waits leaves them cancelled once.
    """
    left = set(tasks)
    while left:
        for each in left:
            each.cancel()
        done, left = await asyncio.wait(left, timeout=_AGAIN)
        for each in done:
            if not each.cancelled():
                each.exception()  # else it would be told as never looked at
