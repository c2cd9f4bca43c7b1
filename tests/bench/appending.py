"""Producers that append to a commit log one record after the other, and their waits."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence

from service.commitlog import Record
from tests.bench.tables import seconds

__all__ = ["append_for"]

Append = Callable[[Sequence[Record]], Awaitable[object]]


async def append_for(
    append: Append, *, size: int, producers: int
) -> tuple[list[float], float]:
    """
    Append records of *size* bytes for some seconds.

    Returns:
        Seconds that each append took, and all of them together.
    """
    waits: list[float] = []
    begin = time.perf_counter()
    end = begin + seconds(2)

    async def produce() -> None:
        record = Record(os.urandom(size))
        now = time.perf_counter()
        while now < end:
            await append([record])
            now, before = time.perf_counter(), now
            waits.append(now - before)

    await asyncio.gather(*(produce() for _ in range(producers)))
    return waits, time.perf_counter() - begin
