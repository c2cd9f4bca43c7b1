"""A real Pushgateway on a free port of the loopback interface."""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator

import httpx2
import pytest

__all__ = ["pushgateway"]


@contextlib.contextmanager
def pushgateway() -> Iterator[str]:
    """Run one and give its URL; skip the test where there is none."""
    program = shutil.which("prometheus-pushgateway") or shutil.which("pushgateway")
    if program is None:
        pytest.skip("no pushgateway is on PATH (Debian: prometheus-pushgateway)")
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{sock.getsockname()[1]}"
    process = subprocess.Popen(
        [program, f"--web.listen-address={address}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _await_ready(f"http://{address}", process)
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait()


def _await_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert process.poll() is None
        with contextlib.suppress(httpx2.HTTPError):
            if httpx2.get(f"{url}/-/ready").status_code == 200:
                return
        time.sleep(0.1)
    raise AssertionError("the pushgateway did not get ready")
