"""Real programs beside the service: on free ports, run until a block ends."""

import contextlib
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import httpx2

__all__ = ["Killable", "free_port", "free_ports", "gets", "program"]


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on just now."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Return so many of them, each another."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextlib.contextmanager
def program(
    command: Sequence[str],
    *,
    log: Path,
    ready: Callable[[], bool] = lambda: True,
    limit: float = 60.0,
    environment: Mapping[str, str] | None = None,
    ended_by: int = signal.SIGTERM,
) -> Iterator[subprocess.Popen[bytes]]:
    """
    Run a program until the block ends, which begins when the program is ready.

    Args:
        command: Its path and arguments.
        log: File that what it prints is added to; told when it does not get ready.
        ready: Whether it is; who can't be asked yet is not.
        limit: Seconds that it may take to get ready.
        environment: Its own; ours without.
        ended_by: Signal that ends it.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env=environment
        )
    try:
        _await(process, ready, limit, log)
        yield process
    finally:
        process.send_signal(ended_by)
        process.wait()


def gets(url: str) -> Callable[[], bool]:
    """Return what tells whether GET *url* is answered with 200."""
    # over plain HTTP; to load the authorities would take most of the time
    return lambda: httpx2.get(url, verify=False).status_code == 200


def _await(
    process: subprocess.Popen[bytes],
    ready: Callable[[], bool],
    limit: float,
    log: Path,
) -> None:
    end = time.monotonic() + limit
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(httpx2.HTTPError):
            if ready():
                return
        time.sleep(0.1)
    said = log.read_text(errors="replace")[-3000:]
    raise AssertionError(f"{process.args!r} did not get ready: {said}")


class Killable:
    """A program that a test kills, lets hang and starts again; see its `start`."""

    _process: subprocess.Popen[bytes] | None = None

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Let it hang with its connections open, as a machine does."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(number)
            self._process.wait()
            self._process = None
