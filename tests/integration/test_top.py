"""The view of a service: on a terminal, in a pipe, and when the service goes."""

import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest

from tests.support.certificates import Authority
from tests.support.process import ServiceProcess, serving
from tests.support.terminal import on_terminal

FAST = {"demo__delay_max": 0.05, "server__drain_delay": 0}
LIMIT = 60.0
ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"
"""Escape sequences that go to the terminal's other screen and come back."""


@contextlib.contextmanager
def loaded(service: ServiceProcess) -> Iterator[None]:
    """Ask the service one request after the other until the block ends."""
    done = threading.Event()

    def ask():
        with httpx2.Client(base_url=service.url, timeout=60) as client:
            while not done.is_set():
                for path in ("/", "/hello", "/status/503"):
                    with contextlib.suppress(httpx2.HTTPError):
                        client.get(path)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        done.set()
        asking.join(LIMIT)


def top(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "service", "top", *arguments],
        env={k: v for k, v in os.environ.items() if k != "COLUMNS"} | environment,
        text=True,
        capture_output=True,
        timeout=LIMIT,
    )


def test_once_in_a_pipe_prints_what_happened_meanwhile():
    """Rates, quantiles, errors and the process, as plain text."""
    with serving(**FAST) as service, loaded(service):
        done = top(service.admin_url, "--once", "--interval", "2")

    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    head, requests, *_ = lines = done.stdout.splitlines()
    assert head.startswith(f"{service.admin_url}/metrics   version ")
    assert "   ready   up " in head
    assert float(re.search(r"requests +([\d.]+)/s", requests)[1]) > 0
    errors = float(re.search(r"errors ([\d.]+) %", requests)[1])
    assert 15 < errors < 60  # one of three, whichever the look began and ended with
    assert any(re.match(r"process +CPU \d.* memory \d", line) for line in lines)
    routes = {line.split()[0]: line for line in lines[7:]}
    assert routes.keys() == {"/", "/hello", "/status/{code}"}
    assert re.search(r" \d+(\.\d)? ms .* 0\.0 % ", routes["/"])
    assert " 100.0 % " in routes["/status/{code}"]


def test_replicas_are_added_up():
    """Two services are one, with both rates and both memories."""
    with serving(**FAST) as one, serving(**FAST) as other, loaded(one), loaded(other):
        urls = [each.admin_url for each in (one, other)]
        done = top(*urls, "--once", "--json", "--interval", "1")
        single = top(urls[0], "--once", "--json", "--interval", "0.2")

    told, alone = json.loads(done.stdout), json.loads(single.stdout)
    assert (told["replicas"], told["answered"]) == (2, 2)
    assert told["phases"] == {"ready": 2}
    assert told["in_flight_limit"] == 2 * alone["in_flight_limit"]
    assert told["resident_bytes"] > 1.5 * alone["resident_bytes"]
    assert told["rate"] == pytest.approx(sum(told["statuses"].values()))


def test_json_without_once_is_a_line_for_each_look():
    """A program reads looks as they come."""
    with serving(**FAST) as service:
        process = subprocess.Popen(
            [
                *[sys.executable, "-m", "service", "top", service.admin_url],
                *["--json", "--interval", "0.2"],
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            told = [json.loads(process.stdout.readline()) for _ in range(2)]
            process.stdout.close()
            process.wait(LIMIT)
        finally:
            process.kill()
            process.wait()

    assert told[0]["uptime"] < told[1]["uptime"]
    assert process.returncode == 1


@pytest.mark.parametrize(
    ("url", "code", "told"),
    [
        pytest.param("file:///etc/passwd", 2, "must be http://HOST:PORT", id="file"),
        pytest.param("http://", 2, "must be http://HOST:PORT", id="no host"),
        pytest.param("127.0.0.1:99999", 2, "Port out of range", id="port"),
        pytest.param("127.0.0.1:1", 1, "connection refused", id="nobody"),
    ],
)
def test_wrong_target_is_told_without_a_trace(url, code, told):
    """What can't be right exits 2, nobody there 1."""
    done = top(url, "--once", "--interval", "0.2")

    assert done.returncode == code
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("path", ["/livez", "/nothing"])
def test_answer_that_is_no_metrics_exits_2(path):
    """A service whose address is wrong is told at the first look, also live."""
    with serving() as service:
        done = top(f"{service.admin_url}{path}", "--once")
        with on_terminal("top", f"{service.admin_url}{path}") as terminal:
            code = terminal.await_exit()

    assert done.returncode == code == 2
    assert done.stderr.startswith(f"{service.admin_url}{path}: ")
    assert done.stderr.strip() in terminal.shown
    assert terminal.shown.rindex(LEAVE) < terminal.shown.rindex(path)


def test_terminal_is_live_sorts_follows_its_size_and_quits():
    """Keys and sizes are obeyed at once, and the terminal is left as it was."""
    with serving(**FAST) as service, loaded(service):
        arguments = ["top", service.admin_url, "--interval", "0.3"]
        with on_terminal(*arguments) as terminal:
            first = terminal.await_text("bytes/s")
            terminal.await_text("█")
            terminal.resize(45, 12)
            terminal.await_frame("q quit", lambda frame: "bytes/s" not in frame)
            terminal.resize(120, 30)
            terminal.await_text("bytes/s")
            terminal.type(b"e")
            terminal.await_frame("q quit", _errors_first)
            terminal.type(b"q")
            code = terminal.await_exit()

    assert code == 0
    assert ENTER in terminal.shown
    assert LEAVE in terminal.shown
    assert "\x1b[" in first
    assert "Traceback" not in terminal.shown


def test_keys_and_sizes_are_obeyed_while_nobody_answers():
    """One replica answers, one never does: the view waits for neither."""
    with socket.create_server(("127.0.0.1", 0)) as silent, serving(**FAST) as service:
        port = silent.getsockname()[1]
        with on_terminal("top", f"127.0.0.1:{port}", service.admin_url) as terminal:
            terminal.await_text("asking")
            terminal.resize(45, 12)
            terminal.await_text("asking")
            terminal.type(b"e")
            terminal.await_text("asking")
            terminal.type(b"q")
            code = terminal.await_exit()

    assert code == 0
    assert "bytes/s" not in terminal.shown
    assert "Traceback" not in terminal.shown


def _errors_first(frame: str) -> bool:
    failing, fine = frame.find("/status/{code}"), frame.find("/hello")
    return -1 < failing < fine


@pytest.mark.parametrize(
    ("end", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_interrupted_view_restores_the_terminal(end, expected):
    """Ctrl-C and SIGTERM end it with the shell's codes, without a trace."""
    with serving(**FAST) as service:
        with on_terminal("top", service.admin_url) as terminal:
            terminal.await_text("route")
            if end is signal.SIGINT:
                terminal.type(b"\x03")
            else:
                terminal.process.send_signal(end)
            code = terminal.await_exit()

    assert code == expected
    assert LEAVE in terminal.shown
    assert "Traceback" not in terminal.shown


def test_service_that_goes_and_comes_back_is_shown():
    """The view says who is lost, and takes the new process as a new one."""
    with serving(**FAST) as service, loaded(service):
        port = service.ports["httpserver-admin"]
        arguments = ["top", service.admin_url, "--interval", "0.3"]
        with on_terminal(*arguments) as terminal:
            terminal.await_text("/status/{code}")
            service.close()
            terminal.await_text("connection refused")
            with serving("--admin-port", str(port), **FAST) as again, loaded(again):
                came = terminal.await_text("/status/{code}")
            terminal.type(b"q")
            code = terminal.await_exit()

    assert code == 0
    assert "Traceback" not in terminal.shown
    rates = re.findall(r"requests[^\n]*?([\d.,]+)/s", came)
    assert all(float(each.replace(",", "")) >= 0 for each in rates)


def test_no_color_and_dumb_terminals_are_obeyed():
    """NO_COLOR leaves the colours out, TERM=dumb the drawing too."""
    with serving(**FAST) as service:
        with on_terminal("top", service.admin_url, NO_COLOR="1") as terminal:
            terminal.await_text("req/s")
        with on_terminal("top", service.admin_url, "--once", TERM="dumb") as dumb:
            assert dumb.await_exit() == 0

    assert not re.search(r"\x1b\[[0-9;]*3[0-7]", terminal.shown)
    assert "\x1b" not in dumb.shown


class Exposing(BaseHTTPRequestHandler):
    """Answers one metric."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(
            b"# TYPE http_requests_in_flight gauge\nhttp_requests_in_flight 3\n"
        )

    def log_message(self, *_):
        """Say nothing."""


def test_https_is_believed_by_its_authority_alone(tmp_path):
    """With --ca the view speaks TLS; without it the certificate is not believed."""
    authority = Authority()
    ca = tmp_path / "ca.crt"
    ca.write_text(authority.pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.issue("localhost").write(tmp_path / "tls"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Exposing)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"https://localhost:{server.server_port}"
        quick = ["--once", "--interval", "0.2"]
        believed = top(url, "--ca", str(ca), *quick)
        strange = top(url, *quick)
        wrong = top(url, "--ca", str(tmp_path / "none.crt"), *quick)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(LIMIT)

    assert (believed.returncode, believed.stderr) == (0, "")
    assert "in flight 3" in believed.stdout
    assert strange.returncode == 1
    assert "certificate not believed" in strange.stderr
    assert wrong.returncode == 2
    assert "none.crt: No such file" in wrong.stderr
