"""A PostgreSQL server of its own for tests, which can be stopped and started."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["PostgresqlServer", "postgresql_server"]

_OTHER_USER = "postgres"
"""Who runs it where the tests run as root, which PostgreSQL refuses."""


class PostgresqlServer:
    """
    A server on a free port of 127.0.0.1.

    Attributes:
        port: Where it listens, the same after each start.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        data = str(folder / "data")
        self._run("initdb", "-D", data, "-U", "phonebook", "-A", "trust",
                  "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")  # fmt: skip

    def start(self) -> None:
        """Start, and return when it answers."""
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1"
            f" -c unix_socket_directories={self.folder}"
        )
        self._control("-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self, how: str = "fast") -> None:
        """Stop: `fast` cuts connections, `immediate` is a crash."""
        self._control("-w", "-m", how, "stop")

    def create(self, database: str) -> None:
        """Make an empty database."""
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port),
                  "-U", "phonebook", database)  # fmt: skip

    def _control(self, *arguments: str) -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), *arguments)

    def _run(self, command: str, *arguments: str) -> None:
        user = {"user": _OTHER_USER} if os.geteuid() == 0 else {}
        # the server inherits the outputs: a pipe would never end
        subprocess.run(
            [command, *arguments], check=True, timeout=60, cwd=self.folder,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **user,
        )  # fmt: skip


def _start_first(server: PostgresqlServer) -> None:
    """Start; on another port while somebody has taken the one that was free."""
    for _ in range(3):
        try:
            server.start()
        except subprocess.CalledProcessError:
            server.port = _free_port()
        else:
            return
    log = server.folder / "log"
    raise AssertionError(log.read_text()[-2000:] if log.exists() else "no log")


@contextmanager
def postgresql_server() -> Iterator[PostgresqlServer | None]:
    """Run a server until the block ends; None where PostgreSQL is not installed."""
    if not (shutil.which("initdb") and shutil.which("pg_ctl")):
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, _OTHER_USER)
    server = PostgresqlServer(folder)
    _start_first(server)
    try:
        yield server
    finally:
        with suppress(subprocess.CalledProcessError):  # a test has stopped it
            server.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
