"""A PostgreSQL server of its own for tests, which can be stopped and started."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.certificates import Issued
from tests.support.programs import free_port
from tests.support.waiting import until

__all__ = ["PostgresqlServer", "postgresql_server"]

_OTHER_USER = "postgres"
"""Who runs it where the tests run as root, which PostgreSQL refuses."""


class PostgresqlServer:
    """
    A server on a free port of 127.0.0.1.

    Attributes:
        port: Where it listens, the same after each start.
        settings: Its settings, from the next start on.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings: dict[str, object] = {}
        self.port = free_port()
        data = str(folder / "data")
        self._run("initdb", "-D", data, "-U", "phonebook", "-A", "trust",
                  "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")  # fmt: skip

    def start(self) -> None:
        """Start, and return when it answers."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.folder,
            **self.settings,
        }
        options = f"-p {self.port}"
        options += "".join(f" -c {name}={value}" for name, value in settings.items())
        self._control("-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self, how: str = "fast") -> None:
        """Stop: `fast` cuts connections, `immediate` is a crash."""
        self._control("-w", "-m", how, "stop")

    def kill(self) -> None:
        """End all of it at once by SIGKILL, as when a machine goes."""
        found = self.processes()
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(lambda: all(map(_is_gone, found)), limit=30)
        # one whose end nobody has heard of would seem to hold them still
        for lock in ("data/postmaster.pid", f".s.PGSQL.{self.port}.lock"):
            (self.folder / lock).unlink()

    def processes(self) -> list[int]:
        """Return the server and its helpers."""
        first = (self.folder / "data" / "postmaster.pid").read_text().split()[0]
        task = Path("/proc", first, "task", first, "children")
        return [int(first), *map(int, task.read_text().split())]

    def speak_tls(self, issued: Issued) -> None:
        """Show a certificate from the next start on, and let nobody in without TLS."""
        for path in issued.write(self.folder / "tls"):
            self._own(path)
        self._own(self.folder / "tls")
        self.settings |= {
            "ssl": "on",
            "ssl_cert_file": self.folder / "tls" / "tls.crt",
            "ssl_key_file": self.folder / "tls" / "tls.key",
        }
        rules = "hostssl all all 127.0.0.1/32 scram-sha-256\nlocal all all trust\n"
        (self.folder / "data" / "pg_hba.conf").write_text(rules)

    def ask(self, statement: str, *, database: str = "postgres") -> None:
        """Run a statement as the server's owner."""
        self._run("psql", "-h", str(self.folder), "-p", str(self.port),
                  "-U", "phonebook", "-d", database, "-c", statement)  # fmt: skip

    def _own(self, path: Path) -> None:
        if os.geteuid() == 0:
            shutil.chown(path, _OTHER_USER)

    def create(self, database: str) -> None:
        """Make an empty database."""
        self._run("createdb", "-h", str(self.folder), "-p", str(self.port),
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


def _is_gone(pid: int) -> bool:
    """Whether a process has ended, heard of by its parent or not."""
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        )
    except OSError:
        return True


def _start_first(server: PostgresqlServer) -> None:
    """Start; on another port while somebody has taken the one that was free."""
    for _ in range(3):
        try:
            server.start()
        except subprocess.CalledProcessError:
            server.port = free_port()
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
