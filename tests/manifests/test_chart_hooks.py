"""The scripts that `helm test` runs in pods tell right from wrong."""

import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.support.chart import CHART, PROFILES, of_kind, render

SCRIPTS = CHART / "files" / "tests"


class Answers(http.server.BaseHTTPRequestHandler):
    """A service that is healthy at one path only."""

    def do_GET(self) -> None:
        """Answer 200 at /metrics and 503 elsewhere."""
        self.send_response(200 if self.path == "/metrics" else 503)
        self.end_headers()
        self.wfile.write(b"http_request_duration_seconds_count 3\n")

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def url() -> Iterator[str]:
    """Serve on a free port."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Lay a certificate out as cert-manager does, for two names."""
    authority = trustme.CA()
    certificate = authority.issue_cert("httpserver.example.com", "*.apps.example.com")
    certificate.private_key_pem.write_to_path(tmp_path / "tls.key")
    (tmp_path / "tls.crt").write_bytes(
        b"".join(part.bytes() for part in certificate.cert_chain_pems)
    )
    authority.cert_pem.write_to_path(tmp_path / "ca.crt")
    return tmp_path


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script as the pod does, given as text, without its pause between tries."""
    text = (SCRIPTS / f"{script}.py").read_text().replace("PAUSE = 1.0", "PAUSE = 0.0")
    return subprocess.run(
        [sys.executable, "-c", text, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_right_answer_passes(url: str) -> None:
    """Status 200 with the text is a pass."""
    assert run("answers", f"{url}/metrics", "http_request_duration").returncode == 0


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("/metrics", "missing_metric", "missing ['missing_metric']"),
        ("/readyz", "", "status 503"),
    ],
)
def test_wrong_answer_fails(url: str, path: str, text: str, message: str) -> None:
    """Another status or a missing text is a failure that says so."""
    done = run("answers", f"{url}{path}", text)

    assert done.returncode == 1
    assert message in done.stderr


def test_silent_address_fails() -> None:
    """An address nobody serves is a failure."""
    assert run("answers", "http://127.0.0.1:1/").returncode == 1


def test_certificate_proves_its_names(folder: Path) -> None:
    """Exact and wildcard names pass against the CA of the Secret."""
    done = run(
        "certificate", str(folder), "httpserver.example.com", "*.apps.example.com"
    )

    assert done.returncode == 0, done.stderr


def test_certificate_of_another_name_fails(folder: Path) -> None:
    """A name that is not in the certificate is a failure."""
    done = run("certificate", str(folder), "other.example.com")

    assert done.returncode != 0
    assert "CERTIFICATE_VERIFY_FAILED" in done.stderr


def test_certificate_of_another_authority_fails(folder: Path) -> None:
    """A CA that did not sign it is a failure."""
    trustme.CA().cert_pem.write_to_path(folder / "ca.crt")
    done = run("certificate", str(folder), "httpserver.example.com")

    assert done.returncode != 0
    assert "CERTIFICATE_VERIFY_FAILED" in done.stderr


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.stem)
def test_each_capability_has_its_pod(profile: Path) -> None:
    """What a release has is what is tested: one pod each, with a fixed name."""
    manifests = render(profile)
    names = {
        pod["metadata"]["name"].rpartition("-")[2] for pod in of_kind(manifests, "Pod")
    }
    wanted = {"http", "readiness", "metrics"}
    certificates = [
        each["metadata"]["name"] for each in of_kind(manifests, "Certificate")
    ]
    # those of the log are of a CA of its own, and for clients that have one too
    if any("-log-" not in each for each in certificates):
        wanted.add("certificate")

    assert names == (set() if profile.stem == "minimal-values" else wanted)
