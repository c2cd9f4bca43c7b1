"""Real programs beside the service: on free ports, run until a block ends."""

import contextlib
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import httpx2

from tests.support.waiting import until

__all__ = ["Killable", "free_port", "free_ports", "gets", "program"]

_CHANCE = random.SystemRandom()
"""Of its own: tests beside this one, and those that seed theirs, get others."""

_KINDS = (socket.SOCK_STREAM, socket.SOCK_DGRAM)

_PORTS = range(10_100, 30_000)
"""Ports that no kernel gives away by itself, neither to clients nor for port 0, nor a
cluster to its services: one of them stays free until the program listens, and between
its end and its next start."""


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on just now."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Return so many of them, each another, free for TCP and UDP."""
    found: set[int] = set()
    while len(found) < count:
        port = _CHANCE.choice(_PORTS)
        if all(_is_free(port, kind) for kind in _KINDS):
            found.add(port)
    return list(found)


def _is_free(port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(type=kind) as asking:
        try:
            asking.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


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


def _state(thread: Path) -> str:
    """Return the letter of what a thread is doing."""
    return (thread / "stat").read_text().rpartition(")")[2].split()[0]


class Killable:
    """A program that a test kills, lets hang and starts again; see its `start`."""

    _process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Number of its process, while it runs."""
        assert self._process
        return self._process.pid

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Let it hang with its connections open, as a machine does."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)
        threads = Path(f"/proc/{self.pid}/task")
        # a thread that runs on another processor stops a moment later
        until(lambda: all(_state(each) == "T" for each in threads.iterdir()))

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
