"""Commands that end push what they did to a real Pushgateway."""

import base64
import http.server
import os
import subprocess
import sys
import threading

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.pushgateway import pushgateway


@pytest.fixture
def gateway():
    with pushgateway() as url:
        yield url


def check(*arguments, **environment):
    """Run `httpserver config check`."""
    return subprocess.run(
        [sys.executable, "-m", "service", "config", "check", *arguments],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        timeout=60,
    )


def pushed(gateway):
    """Values of the command's metrics, by name."""
    text = httpx2.get(f"{gateway}/metrics").text
    return {
        sample.name.removeprefix("httpserver_batch_"): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.labels.get("job") == "httpserver-batch"
        and sample.labels.get("command") == "config check"
    }


def test_success_is_pushed(gateway):
    """A run tells how long it took and when it ended."""
    done = check("--pushgateway", gateway)
    found = pushed(gateway)

    assert done.returncode == 0, done.stderr
    assert found["success"] == 1
    assert 0 < found["duration_seconds"] < 30
    assert found["last_success_timestamp_seconds"] > 1.7e9


def test_failure_leaves_the_last_success_as_it_is(gateway):
    """What an alert compares with the time is the last run that did its work."""
    check(HTTPSERVER_PUSHGATEWAY=gateway)
    before = pushed(gateway)
    done = check("--pushgateway", gateway, "--set", "log.level=loud")
    after = pushed(gateway)

    assert done.returncode == 2
    assert "log.level" in done.stderr
    assert after["success"] == 0
    for name in ("last_success_timestamp_seconds",):
        assert after[name] == before[name]
    assert after["last_run_timestamp_seconds"] > before["last_run_timestamp_seconds"]


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9", "not a url", "http://[::1", "ftp://127.0.0.1"]
)
def test_gateway_that_cannot_be_reached_fails_no_command(url):
    """The command's own result is what counts; standard error tells the rest."""
    done = check("--pushgateway", url)

    assert done.returncode == 0
    assert "no metrics were pushed to" in done.stderr
    assert "Traceback" not in done.stderr


def test_password_of_the_gateway_is_not_told():
    """What can't be reached is named without it."""
    done = check(HTTPSERVER_PUSHGATEWAY="http://ann:pa-ss@127.0.0.1:9/at")

    assert "no metrics were pushed to http://127.0.0.1:9/at" in done.stderr
    assert "pa-ss" not in done.stderr


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/at?token=geheim",
        "http://127.0.0.1:9/at?token=geheim now",
        "http://127.0.0.1:9/at#geheim",
    ],
    ids=["query", "unusable", "fragment"],
)
def test_query_of_the_gateway_is_not_told(url):
    """A token may be in it, and the reason tells nothing of the URL either."""
    done = check("--pushgateway", url)

    assert done.returncode == 0
    assert "no metrics were pushed to http://127.0.0.1:9/at: " in done.stderr
    assert "geheim" not in done.stderr


def test_password_of_the_gateway_is_sent():
    """As basic authentication, which a proxy before the gateway asks for."""
    asked = []

    class Gateway(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append((self.path, self.headers["authorization"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = check("--pushgateway", f"ann:p%40ss@127.0.0.1:{server.server_port}")
        server.shutdown()

    told = base64.b64encode(b"ann:p@ss").decode()
    [(path, authorization)] = asked
    assert done.stderr == ""
    assert path.startswith("/metrics/job/httpserver-batch/command")
    assert authorization == f"Basic {told}"
