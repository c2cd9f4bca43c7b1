"""Small pieces of a body made into large ones, which a disk takes better."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator

__all__ = ["GATHERED", "gathered"]

GATHERED = 1_048_576
"""Bytes of a piece: what one hand-over to a thread is worth."""


async def gathered(
    chunks: AsyncIterable[bytes], size: int = GATHERED
) -> AsyncIterator[bytes]:
    """
    Yield the bytes of *chunks* in pieces of about *size*.

    If *chunks* raises, or is cancelled, what came before is yielded first: an upload
    that can be resumed keeps it.

    Args:
        chunks: Pieces of any size.
        size: Bytes of a piece; the last has fewer, each other that or a little more.
    """
    waiting: list[bytes] = []
    have = 0
    failure: BaseException | None = None
    try:
        async for chunk in chunks:
            waiting.append(chunk)
            have += len(chunk)
            if have >= size:
                yield b"".join(waiting)
                waiting, have = [], 0
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - raised again below
        failure = error
    if have:
        yield b"".join(waiting)
    if failure is not None:
        raise failure
