"""`httpserver files`, run against services of tests."""

import subprocess
import sys

from typer.testing import CliRunner, Result

from service.cli import app

__all__ = ["piped", "run"]


def run(url: str, *arguments: str) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(app, ["files", *arguments, "--url", url])


def piped(url: str, *arguments: str, data: bytes = b"") -> subprocess.CompletedProcess:
    """Run a command in a process of its own, which gets *data*."""
    command = [sys.executable, "-m", "service", "files", *arguments, "--url", url]
    return subprocess.run(command, input=data, capture_output=True, check=False)
