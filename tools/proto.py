"""
Write the Python code of the gRPC API from `proto/`.

    python -m tools.proto            # rewrites service/log_api/v1/
    python -m tools.proto --check    # exit 1 when a file of it is old

The code is committed, so that neither users nor the image need a compiler. `proto/` is
mapped to the package's place, because generated modules import each other by the path
of their source: `log.v1` would be a package `log` at the top.
"""

import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

from tools.written import keep

__all__ = ["main", "render"]

_ROOT = Path(__file__).resolve().parent.parent
_PACKAGE = "service/log_api/v1"


def render() -> dict[Path, str]:
    """
    Return what the generated files should hold.

    Raises:
        RuntimeError: The compiler refuses the sources; it has said why.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = [f"--{each}_out={folder}" for each in _PLUGINS]
        sources = [f"{_PACKAGE}/log.proto"]
        plugins = [
            f"--plugin=protoc-gen-{each}={Path(sys.executable).parent}/protoc-gen-{each}"
            for each in _PLUGINS
            if each.startswith("mypy")
        ]  # found beside this Python, also where its folder is not on PATH
        arguments = [
            "protoc",
            *plugins,
            f"-I{_PACKAGE}={_ROOT / 'proto/log/v1'}",
            *out,
            *sources,
        ]
        if protoc.main([*arguments, f"-I{files('grpc_tools') / '_proto'}"]):
            raise RuntimeError("the compiler failed")
        found = sorted((Path(folder) / _PACKAGE).iterdir())
        return {_ROOT / _PACKAGE / each.name: each.read_text() for each in found}


_PLUGINS = ("python", "grpc_python", "mypy", "mypy_grpc")
"""What writes code: messages and calls, and the types of both."""


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or only compare them; the result is the exit code."""
    description = (__doc__ or "").strip().split("\n")[0]
    return keep(render(), description=description, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
