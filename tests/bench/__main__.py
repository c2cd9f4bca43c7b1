"""Run every measurement, or those named: `python -m tests.bench [routing]`."""

import os
import platform
import sys
from importlib.metadata import version

from tests.bench import routing, serving

MEASUREMENTS = {"routing": routing.main, "serving": serving.main}


def main() -> None:
    """Print the machine, the versions and the tables."""
    print(f"{platform.platform()}, {os.cpu_count()} cores, {sys.version.split()[0]}")
    for name in ("fastapi", "starlette", "uvicorn", "uvloop", "httptools"):
        print(f"{name} {version(name)}", end="  ")
    print()
    for name in sys.argv[1:] or MEASUREMENTS:
        print(f"\n## {name}\n")
        MEASUREMENTS[name]()


if __name__ == "__main__":
    main()
