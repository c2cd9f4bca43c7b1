"""Ports of pods and Services on 127.0.0.1, by `kubectl port-forward`."""

import contextlib
import subprocess
import threading
from collections.abc import Iterator, Sequence

from tests.support.commands import LIMIT
from tests.support.programs import free_port

__all__ = ["forward"]


class _Forward:
    """
    kubectl, started again when it ends, which it does as soon as one connection
    through it is cut at the other end.
    """

    def __init__(self, command: Sequence[str], port: int, *, again: bool) -> None:
        self._command = command
        self._to = port
        self._again = again
        self.port = 0
        self._process: subprocess.Popen[str] | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.ready = threading.Event()
        self.said = ""

    def start(self) -> None:
        self._thread.start()
        assert self.ready.wait(LIMIT), f"{' '.join(self._command)}: {self.said}"

    def stop(self) -> None:
        self._over.set()
        while self._thread.is_alive():
            if self._process is not None:
                self._process.terminate()
            self._thread.join(0.1)

    def _run(self) -> None:
        while not self._over.is_set():
            if not self.ready.is_set():  # another may have taken the last one
                self.port = free_port()
            self._process = subprocess.Popen(
                [*self._command, f"{self.port}:{self._to}"],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            with self._process as process:
                # to the end: it says a line for each connection, and would wait
                for line in process.stdout or ():
                    if line.startswith("Forwarding from"):
                        self.ready.set()
                    self.said = line
            if self.ready.is_set() and not self._again:
                return
            self._over.wait(0.3)


@contextlib.contextmanager
def forward(namespace: str, target: str, port: int, *, again: bool) -> Iterator[int]:
    """
    Give a port on 127.0.0.1 that leads to *port* of a pod or Service.

    Args:
        namespace: Where.
        target: Such as `pod/shop-0`; of a Service it is one of its pods.
        port: Its port.
        again: Whether the port leads somewhere again after a connection was cut; for a
            moment nobody listens there.
    """
    address = ("--address", "127.0.0.1")
    command = ["kubectl", "-n", namespace, "port-forward", *address, target]
    found = _Forward(command, port, again=again)
    try:
        found.start()
        yield found.port
    finally:
        found.stop()
