"""Streams that go on where they were when a server stops, dies or is slow."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TypeVar

from service.resilience.retry import Retry

__all__ = ["resumed"]

T = TypeVar("T")


async def resumed(
    session: Callable[[], AsyncGenerator[T | None, None]], retry: Retry
) -> AsyncGenerator[T, None]:
    """
    Yield what sessions yield, one after the other, until one ends by itself.

    Args:
        session: Begins where the one before was; yields None when it stands.
        retry: Attempts from one success to the next.

    Raises:
        Exception: What a session raised that does not pass, or the last in a row.
    """
    while True:
        async for attempt in retry.attempts():
            stood = False
            with attempt:
                try:
                    async with aclosing(session()) as items:
                        async for item in items:
                            stood = True
                            if item is not None:
                                yield item
                except Exception as error:
                    if not stood or not retry.retry_on(error):
                        raise
                else:
                    return
        # one that stood was a success: what ended it counts anew
        await asyncio.sleep(next(retry.backoff.waits()))
