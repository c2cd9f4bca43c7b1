"""The reverse proxy over real sockets: what goes on to the upstream, and what back."""

import contextlib
import json

import httpx2
import pytest

from tests.support.proxy import counted, proxying, route
from tests.support.raw_cases import CASES
from tests.support.raw_http import Cut, RawConnection, post, request
from tests.support.recording_upstream import OK, always, answer, recording_upstream
from tests.support.settings_files import replaced
from tests.support.waiting import until


@pytest.fixture(scope="module")
def service():
    """One proxy for all tests; its upstream answers what the test says."""
    with recording_upstream(OK) as upstream:
        routes = [
            route(upstream.url + "/base"),
            route(upstream.url, "/up/deeper", strip_prefix=False),
            route(upstream.url, "/hosted/", host="a.example", name="hosted"),
            route(upstream.url, "/kept/", preserve_host=True, methods=["GET"]),
        ]
        # what a connection answers must not be an earlier test's script
        with proxying(*routes, proxy__keep_alive=0) as running:
            running.upstream = upstream
            yield running


@pytest.fixture(autouse=True)
def fresh(service):
    service.upstream.script = always(OK)
    service.upstream.requests.clear()


def sent(service, path, *headers, method=b"GET", body=b""):
    """Send a request as bytes; return the answer and what the upstream got."""
    line = method + b" " + path + b" HTTP/1.1"
    with RawConnection(service.ports["httpserver"]) as client:
        client.send(request(line, b"Host: shop.example", *headers, body=body))
        got = client.answer(head=method == b"HEAD")
    return got, service.upstream.requests[-1:]


@pytest.mark.parametrize(
    ("path", "target"),
    [
        (b"/up", b"/base"),
        (b"/up/", b"/base/"),
        (b"/up/a/b?c=d&e", b"/base/a/b?c=d&e"),
        (b"//up//a", b"/base/a"),
        (b"/%75p/%C3%A9%20x", b"/base/%C3%A9%20x"),
        (b"/up/deeper/x", b"/up/deeper/x"),
        (b"/up/deeperx", b"/base/deeperx"),
        (b"/up/http://evil.example/", b"/base/http:/evil.example/"),
        (b"http://shop.example/up/a", b"/base/a"),
    ],
)
def test_path_below_the_prefix_goes_on_below_the_base(service, path, target):
    """The longest prefix wins, by whole segments of the decoded path."""
    _, [(line, _, _)] = sent(service, path)

    assert line == b"GET " + target + b" HTTP/1.1"


@pytest.mark.parametrize(
    "path",
    [b"/up/../x", b"/up/%2e%2e/x", b"/up/..%2fx", b"/up/%5c..", b"/upx", b"/u"],
)
def test_path_outside_the_prefix_reaches_no_upstream(service, path):
    """What is refused or elsewhere goes nowhere."""
    got, requests = sent(service, path)

    assert got.status in (400, 404)
    assert requests == []


@pytest.mark.parametrize(
    "target",
    [
        b"http://127.0.0.1/x",
        b"http://169.254.169.254/latest/meta-data",
        b"http://[::1]/x",
        b"http://0x7f000001/x",
        b"/up@169.254.169.254/",
        b"//169.254.169.254/up/x",
    ],
)
def test_request_never_chooses_the_upstream(service, target):
    """Nothing of a request decides where it goes but the route's prefix (row 61)."""
    got, requests = sent(service, target, b"X-Forwarded-Host: 169.254.169.254")

    assert got.status in (400, 404)
    assert requests == []


def test_redirect_of_the_upstream_is_passed_on_not_followed(service):
    """Where an upstream points is for the client to ask (row 61)."""
    service.upstream.script = always(
        answer(b"", b"location: http://169.254.169.254/", status=b"302 Found")
    )

    got, _ = sent(service, b"/up/x")

    assert got.status == 302
    assert got.headers["location"] == "http://169.254.169.254/"
    assert len(service.upstream.requests) == 1


def test_host_of_a_route_must_match(service):
    """A route for one host answers no other."""
    other, _ = sent(service, b"/hosted/x")
    with RawConnection(service.ports["httpserver"]) as client:
        client.send(request(b"GET /hosted/x HTTP/1.1", b"Host: A.example:80"))
        right = client.answer()

    assert (other.status, right.status) == (404, 200)


def test_headers_of_one_connection_and_forged_origins_stay_here(service):
    """Hop-by-hop ones, those that `Connection` names, `X_Forwarded_For` (row 62)."""
    _, [(_, headers, _)] = sent(
        service,
        b"/up/x",
        b"Connection: X-Secret, close, Accept-Language",
        b"X-Secret: 1",
        b"Accept-Language: de",
        b"Keep-Alive: timeout=5",
        b"TE: trailers",
        b"Trailer: X-T",
        b"Proxy-Authorization: Basic x",
        b"Proxy-Connection: keep-alive",
        b"Upgrade: h2c",
        b"HTTP2-Settings: x",
        b"X-Forwarded-For: 10.9.9.9",
        b"X_Forwarded_For: 10.9.9.9",
        b"X-Forwarded-Proto: https",
        b"X-Forwarded-Host: evil.example",
        b"X-Real-IP: 10.9.9.9",
        b"Forwarded: for=10.9.9.9",
        b"X-Request-Id: abc",
        b"Traceparent: 00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01",
        b"Cookie: a=b",
    )

    port = service.upstream.port
    assert headers == {
        b"host": b"127.0.0.1:%d" % port,
        b"cookie": b"a=b",
        b"traceparent": b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01",
        b"x-forwarded-for": b"127.0.0.1",
        b"x-forwarded-proto": b"http",
        b"x-forwarded-host": b"shop.example",
        b"forwarded": b"for=127.0.0.1;host=shop.example;proto=http",
        b"via": b"1.1 httpserver",
        b"x-request-id": b"abc",
    }


def test_trusted_proxy_is_believed_about_the_origin():
    """What it says is passed on, with itself behind it."""
    with (
        recording_upstream(OK) as upstream,
        proxying(
            route(upstream.url, preserve_host=True),
            server__trusted_proxies='["127.0.0.0/8"]',
        ) as service,
    ):
        service.upstream = upstream
        _, [(_, headers, _)] = sent(
            service,
            b"/up/x",
            b"X-Forwarded-For: 203.0.113.9",
            b"X-Forwarded-Proto: https",
            b"X-Forwarded-Host: www.example",
            b"Forwarded: for=203.0.113.9",
        )

    assert headers[b"x-forwarded-for"] == b"203.0.113.9, 127.0.0.1"
    assert headers[b"x-forwarded-proto"] == b"https"
    assert headers[b"x-forwarded-host"] == b"www.example"
    assert headers[b"forwarded"].startswith(b"for=203.0.113.9, for=127.0.0.1;")
    assert headers[b"host"] == b"shop.example"


def test_answer_comes_back_without_what_is_the_connections_and_with_local_paths(
    service,
):
    """Location and cookies speak of the path that the client knows."""
    service.upstream.script = always(
        answer(
            b"made",
            b"Connection: X-Inner",
            b"X-Inner: 1",
            b"Keep-Alive: timeout=5",
            b"Alt-Svc: h3=:443",
            b"Location: http://127.0.0.1:%d/base/a?b" % service.upstream.port,
            b"Content-Location: /elsewhere",
            b"Set-Cookie: a=b; Path=/base; Secure",
            b"Set-Cookie: c=d; path=/base/x",
            b"X-Kept: yes",
            status=b"201 Created",
        )
    )

    got, _ = sent(service, b"/up/x")

    assert (got.status, got.body) == (201, b"made")
    assert got.headers["location"] == "/up/a?b"
    assert got.headers["content-location"] == "/elsewhere"
    assert got.headers["set-cookie"] == "a=b; Path=/up; Secure, c=d; path=/up/x"
    assert got.headers["x-kept"] == "yes"
    assert got.headers["via"] == "1.1 httpserver"
    dropped = {"x-inner", "keep-alive", "alt-svc", "connection"}
    assert dropped.isdisjoint(got.headers)
    assert "content-security-policy" not in got.headers


def test_loop_of_proxies_is_ended(service):
    """A request that has been here too often goes no further."""
    got, requests = sent(
        service, b"/up/x", b"Via: " + b"1.1 httpserver, " * 5 + b"1.1 x"
    )

    assert got.status == 508
    assert requests == []


@pytest.mark.parametrize("method", [b"TRACE", b"POST"])
def test_method_that_the_route_lets_not_through_is_405(service, method):
    """The answer tells which are."""
    got, requests = sent(service, b"/kept/x", b"Content-Length: 0", method=method)

    assert got.status == 405
    assert got.headers["allow"] == "GET"
    assert requests == []


def test_bodies_go_on_in_the_framing_they_came_in(service):
    """A length stays a length, chunks stay chunks, nothing stays nothing."""
    seen = [
        sent(service, b"/up/x", b"Content-Length: 4", method=b"POST", body=b"body"),
        sent(
            service,
            b"/up/x",
            b"Transfer-Encoding: chunked",
            method=b"PUT",
            body=b"4\r\nbody\r\n2\r\n!!\r\n0\r\nX-T: 1\r\n\r\n",
        ),
        sent(service, b"/up/x", b"Content-Length: 0", method=b"POST"),
    ]

    headers = [got[0][1] for _, got in seen]
    assert [got[0][2] for _, got in seen] == [b"body", b"body!!", b""]
    assert headers[0][b"content-length"] == b"4"
    assert headers[1][b"transfer-encoding"] == b"chunked"
    assert b"content-length" not in headers[1]
    assert headers[2][b"content-length"] == b"0"


@pytest.mark.parametrize(
    ("method", "data", "status", "length"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n", 200, "99"),
        (b"HEAD", b"HTTP/1.1 404 No\r\ntransfer-encoding: chunked\r\n\r\n", 404, None),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n", 204, None),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", 304, "9"),
        (b"GET", b"HTTP/1.1 103 Early\r\nlink: </a>\r\n\r\n" + OK, 200, "2"),
        (b"GET", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, "0"),
    ],
)
def test_answers_without_a_body_leave_the_connections_in_step(
    method, data, status, length
):
    """HEAD, 204, 304 and 1xx: the next request gets its own answer."""
    with (
        recording_upstream(data) as upstream,
        proxying(route(upstream.url)) as keeping,
        RawConnection(keeping.ports["httpserver"]) as client,
    ):
        first = []
        for _ in range(3):
            line = method + b" /up/x HTTP/1.1"
            client.send(request(line, b"Host: shop.example"))
            first.append(client.answer(head=method == b"HEAD"))
        connections = upstream.connections

    assert connections == 1
    assert [each.status for each in first] == [status] * 3
    assert [each.headers.get("content-length") for each in first] == [length] * 3


def test_body_until_the_end_of_the_connection_is_passed_on_whole(service):
    """As HTTP/1.0 servers frame it."""
    service.upstream.script = lambda peer: (
        peer.request(),
        peer.send(b"HTTP/1.0 200 OK\r\n\r\n" + b"a" * 100_000),
    )

    got, _ = sent(service, b"/up/x")

    assert (got.status, len(got.body)) == (200, 100_000)


def test_continue_is_the_upstreams_to_say(service):
    """A refusal comes before the body, a go-ahead lets it through."""

    def script(peer):
        line = b""
        while not line.endswith(b"\r\n\r\n"):
            line += peer.sock.recv(1)
        if b"/no" in line:
            peer.send(answer(b"no", status=b"417 No"))
            return
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert peer.sock.recv(4) == b"body"
        peer.send(OK)

    service.upstream.script = script
    head = [b"Content-Length: 4", b"Expect: 100-continue"]
    statuses = []
    for path in (b"/up/no", b"/up/yes"):
        with RawConnection(service.ports["httpserver"]) as client:
            client.send(post(*head, path=path))
            first = client.answer()
            statuses.append(first.status)
            if first.status == 100:
                client.send(b"body")
                statuses.append(client.answer().status)

    assert statuses == [417, 100, 200]


@pytest.mark.parametrize(
    ("number", "case"), list(enumerate(CASES)), ids=[each.id for each in CASES]
)
def test_ambiguous_request_is_never_two_for_the_upstream(service, number, case):
    """The upstream gets no more requests than the client gets answers (row 62)."""
    path = b"/up/case%d-" % number
    data = case.sent.replace(b"/hello", path).replace(b"/echo", path)
    most = max(len(each.split()) for each in case.expected.split(" or "))

    with RawConnection(service.ports["httpserver"]) as client:
        client.send(data)
        with contextlib.suppress(Cut):
            client.answers(most + 1, head=data.startswith(b"HEAD"), limit=0.2)

    lines = [line for line, _, _ in service.upstream.requests]
    assert sum(b"/base/case%d-" % number in line for line in lines) <= most
    assert all(b" /base/case" in line for line in lines)


def test_line_of_the_log_names_the_upstream(service):
    """And how long it took."""
    sent(service, b"/up/logged")

    line = service.await_event("request", path="/up/logged")

    assert line["route"] == "/up/*"
    assert line["upstream"] == "up"
    assert 0 < line["upstream_duration"] <= line["duration"]
    assert counted(service, "httpserver_proxy_requests_total", result="2xx") >= 1
    assert counted(service, "httpserver_proxy_connections_total") >= 1


def test_routes_change_live(tmp_path):
    """A reload brings routes and takes them; a wrong one is told with its line."""
    with recording_upstream(OK) as upstream:
        config = tmp_path / "config.yaml"

        def write(*routes):
            lines = "\n".join(f"    - {json.dumps(each)}" for each in routes)
            replaced(config, f"proxy:\n  enabled: true\n  routes:\n{lines}\n")

        write(route(upstream.url, "/one/"))
        with proxying_by(config) as service:
            before = [httpx2.get(f"{service.url}/{n}/x").status_code for n in NAMES]
            write(route(upstream.url, "/two/"))
            service.await_event("settings_reloaded")
            until(lambda: httpx2.get(f"{service.url}/two/x").status_code == 200)
            after = [httpx2.get(f"{service.url}/{n}/x").status_code for n in NAMES]
            write(route(upstream.url, "/one/"), route("ftp://x", "/two/"))
            failed = service.await_event("settings_reload_failed")
            last = [httpx2.get(f"{service.url}/{n}/x").status_code for n in NAMES]

    assert before == [200, 404]
    assert after == last == [404, 200]
    assert "config.yaml:5: proxy.routes[1]" in failed["problems"][0]


NAMES = ("one", "two")


def proxying_by(config):
    """Run the service by a settings file."""
    from tests.support.process import serving

    return serving(environment={"HTTPSERVER_CONFIG": str(config)})
