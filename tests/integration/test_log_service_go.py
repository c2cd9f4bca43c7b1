"""
A client in Go, generated from our API, works with the log service by mutual TLS.

The program is the one that was built before (its folder's go.mod says how), else it is
built here.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.certificates import Authority, TlsMount
from tests.support.chart import ROOT, find_tool
from tests.support.log_service import PORT, serving_log

SOURCE = ROOT / "tests/support/go_log_client"


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    """The built client; the tests skip where there is no Go to build it."""
    found = find_tool("go_log_client")
    if found is not None:
        return found
    go = shutil.which("go")
    if go is None:
        pytest.skip("neither go_log_client nor go is installed")
    target = tmp_path_factory.mktemp("go") / "go_log_client"
    build = [go, "build", "-C", str(SOURCE), "-o", str(target), "."]
    done = subprocess.run(build, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return target


def called(program, port, *flags, lines):
    """Run the client; return its exit code, what it read, and what it complains of."""
    done = subprocess.run(
        [program, "-address", f"localhost:{port}", *flags],
        input="".join(f"{each}\n" for each in lines),
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, found, done.stderr


def test_go_client_produces_and_follows_by_mutual_tls(program, tmp_path):
    """Each record comes back at its offset; who shows no certificate is kept out."""
    authority = Authority()
    mount = TlsMount(tmp_path / "tls", authority.server(), ca=authority.pem)
    cert, key = authority.issue(common_name="writer").write(tmp_path / "client")
    trust = ("-ca", str(mount.folder / "ca.crt"))
    settings = {
        "tls__enabled": "true",
        "tls__client_auth": "required",
        "tls__cert_file": mount.folder / "tls.crt",
        "tls__key_file": mount.folder / "tls.key",
        "tls__client_ca_file": mount.folder / "ca.crt",
        "access": "listed",
        "permissions": json.dumps({"writer": {"produce": ["*"], "consume": ["*"]}}),
    }
    lines = [f"Zoë {n}" for n in range(2000)]
    with serving_log(tmp_path / "log", **settings) as service:
        port = service.ports[PORT]
        own = (*trust, "-cert", str(cert), "-key", str(key))
        let_in = called(program, port, *own, "-limit", "60s", lines=lines)
        kept_out = called(program, port, *trust, "-limit", "60s", lines=["x"])
        call = service.await_event("call", subject="writer")

    wanted = [{"offset": n, "value": line} for n, line in enumerate(lines)]
    assert let_in == (0, wanted, "")
    assert kept_out[:2] == (1, [])
    assert kept_out[2].startswith("Unavailable")
    assert call["method"].endswith("ProduceStream")
