"""Pages of other origins in a real browser: what they may read, and what not."""

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support.browser import visiting
from tests.support.process import serving

pytestmark = pytest.mark.browser

READ = """
async ([url, options]) => {
    try {
        const answer = await fetch(url, options);
        const body = await answer.text();
        return [answer.status, answer.headers.get('x-request-id'), body.length > 0];
    } catch (error) {
        return error.name;
    }
}
"""
"""What a page's script gets to see of an answer, or the name of its failure."""

REFUSED = "TypeError"
"""All that a script learns of an answer that it may not read."""


class BlankPage(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>elsewhere</title>")

    def log_message(self, *_arguments):
        pass


@contextlib.contextmanager
def elsewhere() -> Iterator[str]:
    """Serve a blank page from an origin of its own; gives the origin."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BlankPage) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def friend():
    with elsewhere() as origin:
        yield origin


@pytest.fixture(scope="module")
def service(friend):
    with serving("--set", f'server.cors.origins=["{friend}"]') as running:
        yield running


def asking(**headers: str):
    return {"headers": {**headers, "x-request-id": "asked"}}


@pytest.mark.parametrize(
    ("path", "options", "seen"),
    [
        ("/version", {}, [200, True]),
        ("/nowhere", {}, [404, True]),
        ("/status/503", {}, [503, True]),
        ("/echo", {"method": "PUT", "body": "{}"}, [200, True]),
        ("/echo", {"method": "DELETE", **asking(authorization="x")}, [200, True]),
        ("/user/login", {"method": "POST"}, [400, True]),
    ],
)
def test_page_of_a_known_origin_reads_answers(
    browser, friend, service, path, options, seen
):
    """Errors too, and after a preflight; with the request id to find it in the log."""
    with visiting(browser, friend) as visit:
        status, request_id, body = visit.page.evaluate(
            READ, [service.url + path, options]
        )

    assert [status, body] == seen
    assert request_id


@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"x-other": "1"}},
        {"method": "PROPFIND"},
        {"credentials": "include"},
    ],
    ids=["a header", "a method", "cookies"],
)
def test_page_of_a_known_origin_gets_no_more_than_is_granted(
    browser, friend, service, options
):
    """What the settings do not name fails in the browser."""
    with visiting(browser, friend) as visit:
        seen = visit.page.evaluate(READ, [f"{service.url}/version", options])

    assert seen == REFUSED


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("/version", {}),
        ("/nowhere", {}),
        ("/echo", {"method": "PUT"}),
        ("/assets/favicon.svg", {"mode": "no-cors"}),
    ],
)
def test_page_of_an_unknown_origin_reads_nothing(browser, service, path, options):
    """Neither by a script nor by embedding (Cross-Origin-Resource-Policy)."""
    with elsewhere() as stranger, visiting(browser, stranger) as visit:
        seen = visit.page.evaluate(READ, [service.url + path, options])

    assert seen == REFUSED


def test_sandboxed_page_reads_nothing(browser, friend, service):
    """A sandboxed frame of a known origin has the origin `null`."""
    frame = """async (url) => {
        const frame = document.createElement('iframe');
        frame.sandbox = 'allow-scripts';
        frame.srcdoc = `<script>fetch('${url}').then(() => 'read', e => e.name)
            .then(seen => parent.postMessage([origin, seen], '*'))</script>`;
        const told = new Promise(done => addEventListener('message', done));
        document.body.append(frame);
        return (await told).data;
    }"""
    with visiting(browser, friend) as visit:
        seen = visit.page.evaluate(frame, f"{service.url}/version")

    assert seen == ["null", REFUSED]


def test_without_origins_no_other_page_reads(browser, friend):
    """By default the service is for its own pages."""
    with serving() as closed, visiting(browser, friend) as visit:
        seen = visit.page.evaluate(READ, [f"{closed.url}/version", {}])
        visit.page.goto(closed.url)
        own = visit.page.evaluate(READ, [f"{closed.url}/version", {}])

    assert seen == REFUSED
    assert own[0] == 200
