"""Run every measurement, or those named: `python -m tests.bench [serving …]`."""

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

from tests.bench import (
    commitlog,
    connections,
    files,
    jetstream,
    logservice,
    observing,
    patterns,
    phonebook,
    proxying,
    recovering,
    routing,
    serving,
    starting,
    waiting,
)
from tests.bench.contestants import GO, PODINFO

MEASUREMENTS = {
    "routing": routing,
    "patterns": patterns,
    "serving": serving,
    "observing": observing,
    "proxying": proxying,
    "waiting": waiting,
    "connections": connections,
    "starting": starting,
    "commitlog": commitlog,
    "recovering": recovering,
    "logservice": logservice,
    "jetstream": jetstream,
    "phonebook": phonebook,
    "files": files,
}
PACKAGES = (
    *("fastapi", "starlette", "uvicorn", "uvloop", "httptools"),
    "prometheus-fastapi-instrumentator",
    *("opentelemetry-sdk", "opentelemetry-instrumentation-fastapi"),
)


def main() -> None:
    """Print the machine, the versions and the tables, as Markdown."""
    unknown = set(sys.argv[1:]) - set(MEASUREMENTS)
    if unknown:
        sys.exit(f"unknown: {', '.join(unknown)}; there are: {', '.join(MEASUREMENTS)}")
    print(f"{platform.platform()}, {os.cpu_count()} cores, CPython ", end="")
    print(platform.python_version(), *_versions(), sep=", ")
    for name in sys.argv[1:] or MEASUREMENTS:
        measurement = MEASUREMENTS[name]
        print(f"\n## {name}\n\n{' '.join(measurement.__doc__.split())}\n", flush=True)
        measurement.main()


def _versions() -> list[str]:
    found = [f"{name} {_version(name)}" for name in PACKAGES]
    if GO.command(0, 0) is not None:
        done = subprocess.run(
            ["go", "env", "GOVERSION"], capture_output=True, text=True
        )
        found.append(done.stdout.strip())
    podinfo = PODINFO.command(0, 0)
    if podinfo is not None:
        done = subprocess.run([podinfo[0], "--version"], capture_output=True, text=True)
        found.append(f"podinfo {done.stdout.strip()}")
    return found


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


if __name__ == "__main__":
    main()
