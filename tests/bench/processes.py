"""Servers as processes of our own: started, watched through /proc, ended."""

import contextlib
import http.client
import os
import resource
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench.contestants import Contestant

__all__ = ["Running", "Watched", "open_files", "running"]

START_LIMIT = 20.0
"""Seconds until a server that does not answer is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """
    A process, and what it takes.

    Attributes:
        pid: Its number.
    """

    pid: int

    def cpu(self) -> float:
        """CPU seconds so far, of the process and all below it."""
        ticks = 0
        for pid in self._tree():
            with open(f"/proc/{pid}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            ticks += sum(int(each) for each in fields[11:15])
        return ticks / os.sysconf("SC_CLK_TCK")

    def rss(self) -> float:
        """Resident memory now, in megabytes (10^6)."""
        return self._memory("VmRSS")

    def peak(self) -> float:
        """Largest resident memory so far, in megabytes (10^6)."""
        return self._memory("VmHWM")

    def _memory(self, field: str) -> float:
        kibibytes = 0
        for pid in self._tree():
            with open(f"/proc/{pid}/status") as file:
                lines = dict(line.split(":", 1) for line in file)
            kibibytes += int(lines[field].split()[0])
        return kibibytes * 1024 / 1e6

    def _tree(self) -> list[int]:
        tree = [self.pid]
        for pid in tree:  # grows while it is gone through
            for task in Path(f"/proc/{pid}/task").iterdir():
                with open(task / "children") as file:
                    tree += [int(child) for child in file.read().split()]
        return tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Running(Watched):
    """
    A server that answers.

    Attributes:
        port: Its main port.
        probe_port: Where its probe path is.
        started_in: Seconds from the start of the process to the first 200.
    """

    port: int
    probe_port: int
    started_in: float


@contextlib.contextmanager
def running(contestant: Contestant, *, ready: str | None = None) -> Iterator[Running]:
    """
    Run a server until the block ends; its log goes to a file.

    Args:
        ready: Path whose first 200 is the end of the start, on the probe port;
            without it that is the contestant's path on the main port.
    """
    port, admin = _free_port(), _free_port()
    command = contestant.command(port, admin)
    assert command is not None, contestant.missing
    probe_port = admin if contestant.admin else port
    with tempfile.TemporaryFile() as log:
        began = time.monotonic()
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=_environment()
        )
        try:
            target = (port, contestant.path) if ready is None else (probe_port, ready)
            if not _answered(process, *target):
                log.seek(0)
                raise RuntimeError(f"{contestant.name} did not start: {log.read()!r}")
            yield Running(
                pid=process.pid,
                port=port,
                probe_port=probe_port,
                started_in=time.monotonic() - began,
            )
        finally:
            _end(process)


def _environment() -> dict[str, str]:
    """
    Return ours, with bytecode that stays for the next start.

    Servers run from bytecode, as those of an image do; where none may be written, each
    start would measure the compiler.
    """
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    folder = Path(".cache/bench/bytecode").absolute()
    return kept | {"PYTHONPYCACHEPREFIX": str(folder)}


def _status(port: int, path: str) -> int | None:
    """Return the status that GET is answered with; None while nobody listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


def open_files(wanted: int) -> int:
    """Raise the soft limit of open files to *wanted* if allowed; return the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return max(soft, most)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def _answered(process: subprocess.Popen[bytes], port: int, path: str) -> bool:
    """Wait for the first 200; return whether it came."""
    end = time.monotonic() + START_LIMIT
    while (status := _status(port, path)) != 200:
        if process.poll() is not None or time.monotonic() > end:
            return False
        # whoever listens and is not ready yet is not kept from it by our asking
        time.sleep(0.003 if status is None else 0.02)
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=3)
    process.kill()
    process.wait()
