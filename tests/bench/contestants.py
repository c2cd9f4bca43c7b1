"""Who is measured: commands and paths of our service and of its peers."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

__all__ = [
    "BARE",
    "CORE",
    "DEFAULTS",
    "EVERYTHING",
    "FASTAPI",
    "FASTAPI_LOGGED",
    "GO",
    "INSTRUMENTED",
    "OBSERVED",
    "PODINFO",
    "TRACED_BY_CONTRIB",
    "TRACED_BY_FASTAPI",
    "TYPED",
    "UNOBSERVED",
    "UNTRACED",
    "Contestant",
    "available",
    "go_program",
    "ours",
    "uvicorn",
]

EVERYTHING = {
    "server.drain_delay": 0,
    "log.format": "json",
    "log.access": "true",
    "throttle.enabled": "true",
    "throttle.rate": 1_000_000,
    "throttle.burst": 1_000_000,
}
"""Ours runs with all it has; the throttle counts, and refuses nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """
    A server that can be started.

    Attributes:
        name: How the tables call it.
        command: Command line by main port and admin port; None where it is missing.
        path: Gives a small JSON answer.
        waiting_path: Answers after a uniform delay of 0 to 2 s; None without.
        probe_path: Answers at once while it is loaded.
        admin: Whether the probe path is on the admin port.
        missing: Says what to install where there is no command.
    """

    name: str
    command: Callable[[int, int], list[str] | None]
    path: str = "/version"
    waiting_path: str | None = "/"
    probe_path: str = "/version"
    admin: bool = False
    missing: str = ""


def available(wanted: Iterable[Contestant]) -> list[Contestant]:
    """Return those that can run here; print what the others miss."""
    found = []
    for each in wanted:
        if each.command(0, 0) is None:
            print(f"skipped: {each.name}: {each.missing}\n")
        else:
            found.append(each)
    return found


def uvicorn(app: str, *options: str) -> Callable[[int, int], list[str]]:
    """Return how to start a peer that is an ASGI application."""

    def command(port: int, _admin: int) -> list[str]:
        target = [f"tests.bench.peers.{app}", "--port", str(port)]
        return [sys.executable, "-m", "uvicorn", *target, *options]

    return command


def _instrumented(port: int, admin: int) -> list[str] | None:
    if find_spec("prometheus_fastapi_instrumentator") is None:
        return None
    options = ("--factory", "--no-access-log")
    return uvicorn("typed:instrumented", *options)(port, admin)


def _contrib(port: int, admin: int) -> list[str] | None:
    if find_spec("opentelemetry.instrumentation.fastapi") is None:
        return None
    options = ("--factory", "--no-access-log")
    return uvicorn("traced:by_contrib", *options)(port, admin)


def ours(module: str, **changed: object) -> Callable[[int, int], list[str]]:
    """Return how to start our service; the keys have `__` for a point."""

    def command(port: int, admin: int) -> list[str]:
        ports = ["--port", str(port), "--admin-port", str(admin)]
        wanted = EVERYTHING | {key.replace("__", "."): changed[key] for key in changed}
        settings = [f"--set={key}={value}" for key, value in wanted.items()]
        base = [sys.executable, "-m", module, "serve", "--host", "127.0.0.1"]
        return [*base, *ports, "--set=server.admin.host=127.0.0.1", *settings]

    return command


def _go(port: int, _admin: int) -> list[str] | None:
    program = go_program("server.go")
    return None if program is None else [program, str(port)]


@cache
def go_program(source: str) -> str | None:
    """
    Build a peer in Go once.

    Args:
        source: A file of `peers`, or a folder of it with modules of its own.

    Returns:
        The program; None where there is no Go, or not what it needs.
    """
    if shutil.which("go") is None:
        return None
    target = Path(".cache/bench", source.removesuffix(".go")).absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    place = Path(__file__).parent / "peers" / source
    folder, what = (place, ".") if place.is_dir() else (place.parent, place.name)
    build = ["go", "build", "-o", str(target), what]
    done = subprocess.run(build, cwd=folder, check=False, timeout=900)
    return str(target) if done.returncode == 0 else None


def _podinfo(port: int, admin: int) -> list[str] | None:
    gobin = os.environ.get("GOBIN") or str(Path.home() / "go" / "bin")
    program = shutil.which("podinfo", path=f"{os.environ['PATH']}:{gobin}")
    if program is None:
        return None
    ports = [f"--port={port}", f"--port-metrics={admin}"]
    return [program, "--host=127.0.0.1", *ports]


GO = Contestant(name="Go net/http", command=_go, missing="go is not installed")
PODINFO = Contestant(
    name="podinfo, metrics on, request log off",
    command=_podinfo,
    waiting_path=None,  # its delays are whole seconds
    missing="go install github.com/stefanprodan/podinfo/cmd/podinfo@latest",
)
BARE = Contestant(
    name="bare ASGI function on uvicorn",
    command=uvicorn("bare:bare", "--no-access-log"),
    waiting_path=None,
)
FASTAPI = Contestant(
    name="FastAPI on uvicorn, no access log",
    command=uvicorn("typed:fastapi", "--factory", "--no-access-log"),
)
FASTAPI_LOGGED = Contestant(
    name="FastAPI on uvicorn, its access log",
    command=uvicorn("typed:fastapi", "--factory", "--access-log"),
)
INSTRUMENTED = Contestant(
    name="FastAPI on uvicorn + prometheus-fastapi-instrumentator",
    command=_instrumented,
    missing="prometheus-fastapi-instrumentator is not installed",
)
CORE = Contestant(
    name="**httpserver, core handler, everything on**",
    command=ours("service"),
    probe_path="/readyz",
    admin=True,
)
DEFAULTS = Contestant(
    name="**httpserver, core handler, defaults (no throttle)**",
    command=ours("service", throttle__enabled="false"),
    probe_path="/readyz",
    admin=True,
)
TYPED = Contestant(
    name="**httpserver, FastAPI route, everything on**",
    command=ours("tests.bench.typed_service"),
    path="/typed",
    probe_path="/readyz",
    admin=True,
)
TRACED = {"tracing__exporter": "otlp", "tracing__sample_ratio": 0.01}
"""Where to, and by which protocol, the measurement says in the environment."""

UNOBSERVED = Contestant(
    name="**httpserver, no metrics, no access log, no traces**",
    command=ours(
        "tests.bench.unobserved_service", log__access="false", throttle__enabled="false"
    ),
)
UNTRACED = Contestant(
    name="**httpserver, metrics and access log**",
    command=ours("service", throttle__enabled="false"),
)
OBSERVED = Contestant(
    name="**httpserver, metrics, access log, 1 % of the requests traced**",
    command=ours("service", throttle__enabled="false", **TRACED),
)
TRACED_BY_FASTAPI = Contestant(
    name="FastAPI on uvicorn, 1 % traced by its own telemetry",
    command=uvicorn("traced:by_fastapi", "--factory", "--no-access-log"),
)
TRACED_BY_CONTRIB = Contestant(
    name="FastAPI on uvicorn, 1 % traced by opentelemetry-instrumentation-fastapi",
    command=_contrib,
    missing="opentelemetry-instrumentation-fastapi is not installed",
)
