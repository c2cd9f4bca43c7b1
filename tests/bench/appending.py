"""Producers that append to a commit log one record after the other, and their waits."""

import asyncio
import os
import time

from service.commitlog import CommitLog, Record
from tests.bench.tables import seconds

__all__ = ["append_for", "figures"]


async def append_for(
    log: CommitLog, *, size: int, producers: int
) -> tuple[list[float], float]:
    """
    Append records of *size* bytes for some seconds.

    Returns:
        Seconds that each append took, and all of them together.
    """
    waits: list[float] = []
    begin = time.perf_counter()
    end = begin + seconds(3)

    async def produce() -> None:
        record = Record(os.urandom(size))
        now = time.perf_counter()
        while now < end:
            await log.append([record])
            now, before = time.perf_counter(), now
            waits.append(now - before)

    await asyncio.gather(*(produce() for _ in range(producers)))
    return waits, time.perf_counter() - begin


def figures(waits: list[float], took: float) -> list[str]:
    """Return records per second, median and p99 in milliseconds."""
    waits.sort()
    p50, p99 = waits[len(waits) // 2], waits[len(waits) * 99 // 100]
    return [f"{len(waits) / took:,.0f}", f"{p50 * 1e3:.2f}", f"{p99 * 1e3:.2f}"]
