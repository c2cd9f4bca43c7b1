"""
The keyboard and the screen of a terminal while it is watched.

The terminal stays in the mode in which Ctrl-C is a signal; keys come one by one and
are not shown. Whatever ends the view, the terminal is as it was before.
"""

import contextlib
import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Iterator

__all__ = ["Keys", "ended_by_sigterm", "keyboard"]


class Keys:
    """
    Keys that are pressed.

    Args:
        descriptor: The terminal; None for no keyboard, on which nothing is pressed.
    """

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def pressed(self, seconds: float) -> str:
        """Wait at most *seconds* and return what was pressed, mostly nothing."""
        if self._descriptor is None:
            time.sleep(seconds)
            return ""
        ready, _, _ = select.select([self._descriptor], [], [], seconds)
        if not ready:
            return ""
        try:
            typed = os.read(self._descriptor, 64)
        except OSError:  # the terminal is gone
            typed = b""
        if not typed:
            self._descriptor = None
        return typed.decode("ascii", "ignore")


@contextlib.contextmanager
def keyboard() -> Iterator[Keys]:
    """Give the keys of standard input, if it is a terminal, until the block ends."""
    if sys.stdin is None or not sys.stdin.isatty():
        yield Keys(None)
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield Keys(descriptor)
    finally:
        with contextlib.suppress(termios.error):  # the terminal is gone
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


@contextlib.contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM unwind the block, so that the terminal is put in order: exit 143."""

    def end(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
