"""
Memory that clients took and left is given back to the system.

glibc keeps what was freed, for the next time: after an attack by hundreds of slow
clients a service would stay as large as it was at the worst moment, and its pod near
its limit. Where there is another C library nothing is done.

Source: malloc_trim(3), mallopt(3)
"""

import ctypes
import functools
import gc
from collections.abc import Callable

__all__ = ["after_the_flood", "give_back", "keep_large_blocks_apart", "settle"]

_M_MMAP_THRESHOLD = -3

FLOOD = 100
"""Connections from which their end is worth a look."""

THRESHOLDS = (20_000, 20, 50)
"""New objects until a collection of the youngest, and how many of those until one of
the older; Python's own are 700, 10 and 10."""

LARGE = 131_072
"""Bytes from which a block is asked of the system and given back by itself; glibc's
own value, which it would raise with use."""


def keep_large_blocks_apart() -> None:
    """Let large blocks go back to the system as soon as they are free."""
    libc = _libc()
    if libc is not None:
        libc.mallopt(_M_MMAP_THRESHOLD, LARGE)


def settle() -> None:
    """
    Leave what is there out of all garbage collections: it stays until the end.

    A full collection then looks at what requests have made, and not at the hundreds of
    thousands of objects that the program itself is made of. And it comes more rarely:
    requests leave no circles behind, and with thousands under way a collection stops
    every thread, that of the probes too, for a tenth of a second.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)


def give_back() -> None:
    """Give free memory back to the system; it takes milliseconds."""
    gc.collect()
    libc = _libc()
    if libc is not None:
        libc.malloc_trim(0)


@functools.cache
def _libc() -> ctypes.CDLL | None:
    """Return glibc, or None where the C library is another one."""
    libc = ctypes.CDLL(None)
    names = ("malloc_trim", "mallopt")
    return libc if all(hasattr(libc, name) for name in names) else None


def after_the_flood(count: Callable[[], int]) -> Callable[[], bool]:
    """
    Return what tells when most of many connections are gone, once for each flood.

    Args:
        count: Gives how many are open.
    """
    peak = 0

    def over() -> bool:
        nonlocal peak
        now = count()
        peak = max(peak, now)
        if peak < FLOOD or now > peak // 4:
            return False
        peak = now
        return True

    return over
