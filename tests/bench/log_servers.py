"""Servers of log.v1 that can be measured: ours, a peer in Go, and one that is named."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.contestants import Contestant, go_program

__all__ = [
    "BARE",
    "GO",
    "OURS",
    "PEER",
    "Acknowledged",
    "directory",
    "named_peer",
    "servers",
]

OURS = "**httpserver**"
GO = "Go, grpc-go on a file"
BARE = "grpc.aio, no log, nothing around"
PEER = "BENCH_LOG_PEER"

Acknowledged = str
"""`synced` or `written`."""

Command = Callable[[int, int], list[str] | None]


@contextmanager
def directory() -> Iterator[Path]:
    """Give a directory for logs, below BENCH_DIRECTORY if that is set."""
    with TemporaryDirectory(dir=os.environ.get("BENCH_DIRECTORY")) as made:
        yield Path(made)


def named_peer() -> str | None:
    """
    Return a program with the commands of `peers/log` and another log, if there is one.

    Its log need not sync: it is measured beside those whose records are written.
    """
    return os.environ.get("BENCH_LOG_PEER")


def servers(acknowledge: Acknowledged, folder: Path) -> list[Contestant]:
    """
    Return the servers, each with its log in a folder of its own below *folder*.

    They listen on the main port, and tell on the admin port when they are ready.
    """
    peer = named_peer() if acknowledge == "written" else None
    programs = {GO: go_program("log"), PEER: peer}
    commands = {OURS: _ours(acknowledge, folder / "ours")} | {
        name: _go(program, acknowledge, folder / name)
        for name, program in programs.items()
        if program is not None
    }
    if acknowledge == "written":
        commands[BARE] = _bare
    return [
        Contestant(name=name, command=command, admin=True)
        for name, command in commands.items()
    ]


def _ours(acknowledge: Acknowledged, folder: Path) -> Command:
    def command(port: int, admin: int) -> list[str]:
        values = {
            "server.admin.host": "127.0.0.1",
            "server.drain_delay": 0,
            "log.format": "json",
            "log_service.enabled": "true",
            "log_service.host": "127.0.0.1",
            "log_service.port": port,
            "log_service.directory": folder,
            "log_service.policy.acknowledge": acknowledge,
            "log_service.limits.max_streams": 1000,  # all producers are one client
        }
        settings = [f"--set={key}={value}" for key, value in values.items()]
        base = [sys.executable, "-m", "service", "serve", "--host", "127.0.0.1"]
        return [*base, "--port", "0", "--admin-port", str(admin), *settings]

    return command


def _go(program: str, acknowledge: Acknowledged, folder: Path) -> Command:
    def command(port: int, admin: int) -> list[str]:
        folder.mkdir()
        ports = [f"-port={port}", f"-admin={admin}"]
        log = [f"-directory={folder}", f"-acknowledge={acknowledge}"]
        return [program, "serve", *ports, *log]

    return command


def _bare(port: int, admin: int) -> list[str]:
    module = "tests.bench.peers.bare_log"
    return [sys.executable, "-m", module, str(port), str(admin)]
