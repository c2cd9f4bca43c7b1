"""The service as a process of its own, on free ports, with its log read as it comes."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["ServiceProcess", "serving"]

LIMIT = 60.0
"""Seconds that any awaited condition may take before the test fails."""

_LAST_LINES = 10.0
"""Seconds that the log of a process may take to be read when it has ended; workers
that outlive their killed parent hold it open."""


class ServiceProcess:
    """
    A running service.

    Args:
        arguments: Command line after `python -m`.
        environment: Variables besides those of the test run.

    Attributes:
        log: The lines of standard output, as the JSON that they are.
        written: The same lines as they came.
    """

    def __init__(
        self, arguments: Sequence[str], environment: dict[str, str] | None = None
    ) -> None:
        env = {k: v for k, v in os.environ.items() if not k.startswith("HTTPSERVER_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env | (environment or {}),
            text=True,
        )
        self.log: list[dict[str, Any]] = []
        self.written: list[str] = []
        self.ports: dict[str, int] = {}
        self._lines: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['httpserver']}"

    @property
    def admin_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['httpserver-admin']}"

    def await_event(self, event: str, **fields: object) -> dict[str, Any]:
        """Return the next log line of *event* with *fields*, or fail."""
        end = time.monotonic() + LIMIT
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                seen = self.log[-5:]
                raise AssertionError(f"no {event} {fields} so far: {seen}") from None
            if line is None:
                raise AssertionError(
                    f"ended with {self.process.wait()} before {event}: {self.tail()}"
                )
            if line["event"] == event and fields.items() <= line.items():
                return line

    def await_ready(self) -> None:
        """Wait until the process itself is ready, its workers included."""
        while "worker" in self.await_event("lifecycle", phase="ready"):
            continue
        for line in self.log:
            if line["event"] == "listening" and "worker" not in line:
                self.ports[line["server"]] = line["port"]

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def await_exit(self, limit: float = LIMIT) -> int:
        """Wait until the process has ended and its log is read to the end."""
        code = self.process.wait(timeout=limit)
        self._reading.join(_LAST_LINES)
        return code

    def events(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.log if line["event"] == event]

    def tail(self) -> str:
        stderr = self.process.stderr.read() if self.process.stderr else ""
        return f"{self.log[-5:]} {stderr[-2000:]}"

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        if not self.events("worker_started"):
            self._reading.join(_LAST_LINES)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def _read(self) -> None:
        with contextlib.suppress(ValueError):
            for text in self.process.stdout or ():
                line = json.loads(text)
                self.written.append(text)
                self.log.append(line)
                self._lines.put(line)
        self._lines.put(None)


@contextlib.contextmanager
def serving(
    *arguments: str,
    module: str = "service",
    environment: dict[str, str] | None = None,
    **settings: object,
) -> Iterator[ServiceProcess]:
    """
    Run `python -m <module> serve` on free ports until the block ends.

    Keyword arguments are settings: `log__level=x` is `--set log.level=x`.
    """
    command = [
        module,
        "serve",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--admin-port",
        "0",
    ]
    for key, value in {"log__format": "json", **settings}.items():
        command += ["--set", f"{key.replace('__', '.')}={value}"]
    service = ServiceProcess([*command, *arguments], environment)
    try:
        service.await_ready()
        yield service
    finally:
        service.close()
