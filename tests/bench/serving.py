"""
Requests per second and CPU per request: our two kinds of handlers, bare uvicorn and
FastAPI, each as one process, loaded by wrk on the loopback interface.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from statistics import median

ROUNDS = 3
SECONDS = 4
CONNECTIONS = 50

QUIET = "--no-access-log"

PEERS = {
    "bare ASGI function on uvicorn": ("tests.bench.peers:bare", "/", QUIET),
    "FastAPI on uvicorn": ("tests.bench.peers:fastapi_app", "/version", QUIET),
    "FastAPI on uvicorn, its access log": (
        "tests.bench.peers:fastapi_app",
        "/version",
        "--access-log",
    ),
}
"""Application, path and the option of the access log of each peer."""


def main() -> None:
    """Print requests a second and CPU seconds per 1,000 requests of each server."""
    if shutil.which("wrk") is None:
        print("skipped: wrk is missing (Debian package wrk)")
        return
    results: dict[str, list[tuple[float, float]]] = {}
    for _ in range(ROUNDS):
        for name, (command, path, port) in contestants().items():
            with running(command, port) as pid:
                results.setdefault(name, []).append(load(pid, port, path))
    base = median(rate for rate, _ in results["FastAPI on uvicorn"])
    print("| server | requests/s (min/median/max) | CPU s per 1,000 | to FastAPI |")
    print("|---|---|---|---|")
    for name, rounds in results.items():
        rates = sorted(rate for rate, _ in rounds)
        cpu = median(cpu for _, cpu in rounds)
        print(
            f"| {name} | {rates[0]:,.0f} / {median(rates):,.0f} / {rates[-1]:,.0f} "
            f"| {cpu:.3f} | {median(rates) / base:.1f} x |"
        )


def contestants() -> dict[str, tuple[list[str], str, int]]:
    """Return command, path and port of each server."""
    found = {}
    for name, (app, path, access_log) in PEERS.items():
        port = free_port()
        options = ["--port", str(port), access_log]
        found[name] = ([sys.executable, "-m", "uvicorn", app, *options], path, port)
    for access in (False, True):
        port = free_port()
        command = [sys.executable, "-m", "service", "serve", "--host", "127.0.0.1"]
        command += ["--port", str(port), "--admin-port", "0", "--log-format", "json"]
        command += ["--set", f"log.access={str(access).lower()}"]
        label = "with access log" if access else "no access log"
        found[f"httpserver core handler, {label}"] = (command, "/version", port)
    return found


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextlib.contextmanager
def running(command: list[str], port: int) -> Iterator[int]:
    """Run a server until the block ends; yield its process id."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        await_port(port)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=1)
        process.kill()
        process.wait()


def await_port(port: int) -> None:
    """Wait until something listens on *port*."""
    for _ in range(200):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.05)
    raise TimeoutError(port)


def load(pid: int, port: int, path: str) -> tuple[float, float]:
    """Return requests a second and CPU seconds per 1,000 requests."""
    url = f"http://127.0.0.1:{port}{path}"
    wrk(url, 1)
    before = cpu_seconds(pid)
    output = wrk(url, SECONDS)
    used = cpu_seconds(pid) - before
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])
    total = int(re.search(r"(\d+) requests in", output)[1])
    if "Non-2xx" in output or "Socket errors" in output:
        raise RuntimeError(output)
    return rate, used / total * 1000


def wrk(url: str, seconds: int) -> str:
    """Load *url* for *seconds* and return wrk's report."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", url]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds that process *pid* has used."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
