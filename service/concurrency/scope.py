"""
A scope that no task outlives: the first error cancels the rest and comes out as it is.

Python's own `TaskGroup` does the same and raises an `ExceptionGroup`; most callers want
the one error that began it, by its own type.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

__all__ = ["task_scope"]


@contextlib.asynccontextmanager
async def task_scope() -> AsyncIterator[asyncio.TaskGroup]:
    """
    Give a task group; leave when all of its tasks have ended.

    Raises:
        BaseException: The first error of a task or of the block; the others are left
            out.

    Concurrency:
        Cancelling the block cancels the tasks and waits for them.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            yield tasks
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
