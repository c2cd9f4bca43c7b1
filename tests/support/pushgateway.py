"""A real Pushgateway on a free port of the loopback interface."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.programs import free_port, gets
from tests.support.programs import program as run

__all__ = ["pushgateway"]


@contextlib.contextmanager
def pushgateway() -> Iterator[str]:
    """Run one and give its URL; skip the test where there is none."""
    program = shutil.which("prometheus-pushgateway") or shutil.which("pushgateway")
    if program is None:
        pytest.skip("no pushgateway is on PATH (Debian: prometheus-pushgateway)")
    address = f"127.0.0.1:{free_port()}"
    url = f"http://{address}"
    with (
        tempfile.NamedTemporaryFile() as log,
        run(
            [program, f"--web.listen-address={address}"],
            log=Path(log.name),
            ready=gets(f"{url}/-/ready"),
        ),
    ):
        yield url
