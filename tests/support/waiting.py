"""Waiting for a condition in another process, which can only be looked at."""

import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["until"]

Found = TypeVar("Found")


def until(condition: Callable[[], Found], *, limit: float = 10.0) -> Found:
    """Look until *condition* gives something true; fail after *limit* seconds."""
    end = time.monotonic() + limit
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found
