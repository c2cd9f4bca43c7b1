"""Lines of a file, a pipe or a terminal, as soon as they are there."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable

__all__ = ["BadLine", "groups"]

_PIECE = 65_536
_LONGEST = 33_554_432
"""Bytes of a line: the largest record that a service can be set to take."""


class BadLine(Exception):
    """
    A line that is no record.

    Args:
        number: Which, from 1.
        why: What is wrong.
    """

    def __init__(self, number: int, why: str) -> None:
        super().__init__(f"line {number}: {why}")


async def groups(
    descriptor: int, most: int, *, read: Callable[[int, int], bytes] = os.read
) -> AsyncIterator[list[bytes]]:
    """
    Yield the lines of *descriptor* without their ends, in groups of what is there.

    Args:
        descriptor: Open for reading; of any kind.
        most: Lines of a group.
        read: Reads.

    Raises:
        BadLine: One is too long.
        OSError: It can't be read.
    """
    count, rest = 0, bytearray()
    while piece := await _piece(descriptor, read):
        *lines, tail = piece.split(b"\n")
        if lines:
            lines[0] = bytes(rest) + lines[0]
            rest.clear()
        rest += tail
        if len(rest) > _LONGEST:
            raise BadLine(count + len(lines) + 1, f"it is over {_LONGEST} bytes")
        for begin in range(0, len(lines), most):
            yield lines[begin : begin + most]
        count += len(lines)
    if rest:
        yield [bytes(rest)]


async def _piece(descriptor: int, read: Callable[[int, int], bytes]) -> bytes:
    """Read what is there; the event loop goes on until something is."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        loop.add_reader(descriptor, ready.set)
    except PermissionError:  # a file always has something, and can't be waited for
        await asyncio.sleep(0)
        return read(descriptor, _PIECE)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)
    return read(descriptor, _PIECE)
