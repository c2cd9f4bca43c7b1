"""
What readers do around `read` and `follow`, whichever log it is.

Where others append, or retention runs, what is known of the offsets may be old by the
time at which it is used. An offset that seems not to be there is asked for anew before
it is refused. And who named the lowest one, but no number, hears nothing of a lowest
record that went before it was read.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any, Literal, TypeVar, cast

from service.commitlog.errors import OffsetOutOfRange
from service.commitlog.protocol import CommitLog
from service.commitlog.record import Record

__all__ = ["check_offset", "followed", "from_lowest", "read_lowest"]

_Batch = TypeVar("_Batch")


async def check_offset(log: CommitLog, offset: int, *, past: Literal[0, 1] = 1) -> None:
    """
    Refuse an offset that is gone, or that a reader could only wait for.

    Args:
        log: What is read.
        offset: Where it is read.
        past: 1 where the next offset will do, 0 where a record has to be there.

    Raises:
        OffsetOutOfRange: It is not there, whoever appended last.
        CommitLogError: As `CommitLog.fresh_offsets`.
    """
    lowest, end = log.offsets()
    if not lowest <= offset < end + past:
        lowest, end = await log.fresh_offsets()
    if not lowest <= offset < end + past:
        raise OffsetOutOfRange(offset, lowest=lowest, next_offset=end)


def followed(
    log: CommitLog, offset: int, **limits: int
) -> AsyncGenerator[Sequence[Record], None]:
    """Return what `CommitLog.follow` does, to be closed as it says."""
    return cast("AsyncGenerator[Sequence[Record], None]", log.follow(offset, **limits))


async def read_lowest(
    log: CommitLog, offset: int, **limits: int
) -> tuple[int, Sequence[Record]]:
    """
    Return records from *offset* on, or from what is the lowest one by now; and which.

    Args:
        log: What is read.
        offset: What was the lowest one, or above it.
        limits: Those of `CommitLog.read`.

    Raises:
        CommitLogError: As `CommitLog.read`.
    """
    while True:
        try:
            return offset, await log.read(offset, **limits)
        except OffsetOutOfRange as gone:
            if gone.lowest <= offset:
                raise
            offset = gone.lowest


async def from_lowest(
    begin: Callable[[int], AsyncGenerator[_Batch, Any]], offset: int
) -> AsyncGenerator[_Batch, None]:
    """
    Yield the batches from *offset* on, or from what is the lowest one by now.

    Args:
        begin: Gives the batches from an offset on.
        offset: What was the lowest one, or above it.

    Raises:
        OffsetOutOfRange: Retention was faster than whoever takes the batches.
        CommitLogError: As what *begin* gives.
    """
    begun = False
    while True:
        try:
            async with aclosing(begin(offset)) as batches:
                async for batch in batches:
                    begun = True
                    yield batch
        except OffsetOutOfRange as gone:
            if begun or gone.lowest <= offset:
                raise
            offset = gone.lowest
        else:
            return
