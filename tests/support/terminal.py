"""A command on a terminal of its own: what it shows, keys, signals, a new size."""

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator

__all__ = ["Terminal", "on_terminal"]

LIMIT = 60.0
"""Seconds that anything awaited may take before the test fails."""

BECOME = """
import fcntl, os, signal, sys, termios
signal.signal(signal.SIGINT, signal.SIG_DFL)  # a test run in the background ignores it
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Program that makes its standard input the terminal of the command it becomes."""


class Terminal:
    """A running command and all that it has written so far."""

    def __init__(self, process: subprocess.Popen, descriptor: int) -> None:
        self.process = process
        self.descriptor = descriptor
        self.shown = ""

    def type(self, keys: bytes) -> None:
        os.write(self.descriptor, keys)

    def resize(self, columns: int, lines: int) -> None:
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, size)

    def await_text(self, text: str) -> str:
        """Read until *text* comes anew; return what came with it."""
        end = time.monotonic() + LIMIT
        came = ""
        while text not in came:
            assert time.monotonic() < end, f"no {text!r} in {came!r}"
            part = self._read(0.1)
            assert part is not None, f"ended before {text!r}: {self.shown!r}"
            came += part
        return came

    def await_frame(self, last: str, wanted: Callable[[str], bool]) -> str:
        """Read until a whole frame, which ends with *last*, is as *wanted*.

        A frame that was under way when a key or a new size came is let pass.
        """
        end = time.monotonic() + LIMIT
        while not wanted(frame := self.await_text(last)):
            assert time.monotonic() < end, f"still shown: {frame!r}"
        return frame

    def await_exit(self) -> int:
        """Read until the command ends; return its exit code."""
        end = time.monotonic() + LIMIT
        while self._read(0.1) is not None:
            assert time.monotonic() < end, self.shown
        return self.process.wait(LIMIT)

    def _read(self, seconds: float) -> str | None:
        ready, _, _ = select.select([self.descriptor], [], [], seconds)
        if not ready:
            return ""
        try:
            part = os.read(self.descriptor, 65536).decode("utf-8", "replace")
        except OSError:  # Linux's way to say that the terminal has no more users
            return None
        self.shown += part
        return part or None


@contextlib.contextmanager
def on_terminal(
    *arguments: str, columns: int = 100, lines: int = 30, **environment: str
) -> Iterator[Terminal]:
    """Run `httpserver` with *arguments* on a terminal until the block ends."""
    descriptor, inside = pty.openpty()
    kept = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [sys.executable, "-c", BECOME, sys.executable, "-m", "service", *arguments],
        env=kept | {"TERM": "xterm-256color"} | environment,
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
    )
    os.close(inside)
    terminal = Terminal(process, descriptor)
    terminal.resize(columns, lines)
    try:
        yield terminal
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(descriptor)
