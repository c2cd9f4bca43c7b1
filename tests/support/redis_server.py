"""A real server of the Redis protocol, on a free port, while a test needs it."""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.support.programs import free_port

__all__ = ["RedisServer", "redis_server"]

LIMIT = 60.0


class RedisServer:
    """
    A server that can be stopped and started again on the same port, empty each time.

    Attributes:
        port: Where it listens on 127.0.0.1.
    """

    def __init__(self, binary: str) -> None:
        self._binary = binary
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        options = {"port": self.port, "bind": "127.0.0.1", "save": "", "dir": "/tmp"}
        words = [word for k, v in options.items() for word in (f"--{k}", str(v))]
        self._process = subprocess.Popen(
            [self._binary, *words], stdout=subprocess.DEVNULL
        )
        end = time.monotonic() + LIMIT
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            assert time.monotonic() < end, "redis-server does not answer"
            time.sleep(0.02)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def command(self, *words: str) -> bytes:
        """Send one command and return the first piece of its reply."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=LIMIT) as sock:
            sock.sendall(" ".join(words).encode() + b"\r\n")
            return sock.recv(65536)


@contextlib.contextmanager
def redis_server() -> Iterator[RedisServer]:
    """Run a server until the block ends; skip the test where none is installed."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("redis-server is not installed (Debian package redis-server)")
    server = RedisServer(binary)
    server.start()
    try:
        yield server
    finally:
        server.stop()
