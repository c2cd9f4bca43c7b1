"""
The keyboard and the screen of a terminal while it is watched.

The terminal stays in the mode in which Ctrl-C is a signal; keys come one by one and
are not shown. Whatever ends the view, the terminal is as it was before.
"""

import asyncio
import contextlib
import os
import signal
import sys
import termios
import tty
from collections.abc import AsyncIterator, Iterator

__all__ = ["ended_by_sigterm", "keyboard", "keys", "sizes"]


async def keys() -> AsyncIterator[str]:
    """Yield what is pressed; without a keyboard, or when it is gone, it ends."""
    if not _has_keyboard():
        return
    terminal, ready = sys.stdin.fileno(), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(terminal, ready.set)
    try:
        while typed := await _typed(terminal, ready):
            yield typed.decode("ascii", "ignore")
    finally:
        loop.remove_reader(terminal)


async def _typed(terminal: int, ready: asyncio.Event) -> bytes:
    ready.clear()
    await ready.wait()
    try:
        return os.read(terminal, 64)
    except OSError:  # the terminal is gone
        return b""


async def sizes() -> AsyncIterator[os.terminal_size]:
    """Yield the size of the terminal, and each new one."""
    changed, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGWINCH, changed.set)
    changed.set()  # it may have changed since it was drawn upon
    try:
        while await changed.wait():
            changed.clear()
            yield os.get_terminal_size()
    finally:
        loop.remove_signal_handler(signal.SIGWINCH)


@contextlib.contextmanager
def keyboard() -> Iterator[None]:
    """Let keys of standard input, if it is a terminal, come one by one in the block."""
    if not _has_keyboard():
        yield
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield
    finally:
        with contextlib.suppress(termios.error):  # the terminal is gone
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _has_keyboard() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


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
