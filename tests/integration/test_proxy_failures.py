"""Upstreams that misbehave, over real sockets: told to the client, and let go of."""

import threading
import time

import httpx2
import pytest

from tests.support.proxy import QUICK, counted, proxying, route
from tests.support.raw_http import Cut, RawConnection, get, post, request
from tests.support.recording_upstream import OK, answer, recording_upstream
from tests.support.waiting import until

HEAD = b"HTTP/1.1 200 OK\r\n"
REUSED = "httpserver_proxy_connections_total"


def then(*pieces, pause=0.0, end=True):
    """Answer each request with *pieces*, and end, or say nothing more."""

    def script(peer):
        while peer.request() is not None:
            for each in pieces:
                peer.send(each)
                time.sleep(pause)
            if end:
                return
            peer.await_end()

    return script


def endless(peer):
    peer.request()
    peer.send(HEAD + b"transfer-encoding: chunked\r\n\r\n")
    while True:
        peer.send(b"5\r\nhello\r\n" * 100)
        time.sleep(0.005)


NO_ANSWER = {
    "cut before the head": (then(b""), 502, "cut"),
    "cut in the head": (then(HEAD), 502, "cut"),
    "garbage": (then(b"SSH-2.0-OpenSSH_9.2\r\n"), 502, "bad_answer"),
    "no status": (then(b"HTTP/1.1 OK\r\n\r\n"), 502, "bad_answer"),
    "1 MB of headers": (
        then(HEAD, *[b"x-%d: %b\r\n" % (n, b"a" * 1000) for n in range(1000)]),
        502,
        "bad_answer",
    ),
    "one endless header": (then(HEAD + b"x: ", b"a" * 1_000_000), 502, "bad_answer"),
    "two lengths": (
        then(HEAD + b"content-length: 2\r\ncontent-length: 3\r\n\r\nok"),
        502,
        "bad_answer",
    ),
    "length and chunks": (
        then(
            HEAD + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
        502,
        "bad_answer",
    ),
    "an unknown coding": (
        then(HEAD + b"transfer-encoding: gzip\r\n\r\nok"),
        502,
        "bad_answer",
    ),
    "negative length": (
        then(HEAD + b"content-length: -1\r\n\r\nok"),
        502,
        "bad_answer",
    ),
    "a length of 5,000 digits": (
        then(HEAD + b"content-length: " + b"2".zfill(5000) + b"\r\n\r\nok"),
        502,
        "bad_answer",
    ),
    "a bare CR in a value": (
        then(HEAD + b"x: a\rb\r\ncontent-length: 2\r\n\r\nok"),
        502,
        "bad_answer",
    ),
    "endless 100s": (then(*[b"HTTP/1.1 100 \r\n\r\n" * 500] * 20), 502, "bad_answer"),
}


TOO_SLOW = {
    "silence": then(b"", end=False),
    "a slow head": then(HEAD, b"x: ", *[b"a"] * 30, pause=0.1),
}


CUT = {
    "mid-body": then(HEAD + b"content-length: 10\r\n\r\nhalf"),
    "mid-chunk": then(HEAD + b"transfer-encoding: chunked\r\n\r\nff\r\nhalf"),
    "no last chunk": then(HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nok\r\n"),
    "bad chunk": then(
        HEAD + b"transfer-encoding: chunked\r\n\r\n",
        b"zz\r\nok\r\n0\r\n\r\n",
        pause=0.2,
    ),
    "a pause": then(HEAD + b"content-length: 10\r\n\r\nhalf", end=False),
}


@pytest.fixture(scope="module")
def service():
    """One proxy for all tests; its upstream does what the test says."""
    with (
        recording_upstream(OK) as upstream,
        proxying(
            route(upstream.url, retries=0),
            route(upstream.url, "/quick/", retries=0, timeouts=QUICK),
            proxy__breaker__minimum_calls=100_000,
        ) as running,
    ):
        running.upstream = upstream
        yield running


def idle(service):
    """Whether no request is in flight."""
    in_flight = counted(service, "http_requests_in_flight")
    return in_flight == 0


@pytest.mark.parametrize(
    ("script", "status", "reason"), NO_ANSWER.values(), ids=NO_ANSWER.keys()
)
def test_upstream_without_an_answer_is_told_apart_and_the_slot_freed(
    service, script, status, reason
):
    """502 or 504 as a problem that names the upstream and no address (row 63)."""
    service.upstream.script = script

    assert_told(service, "up", status, reason)


@pytest.mark.parametrize("script", TOO_SLOW.values(), ids=TOO_SLOW.keys())
def test_upstream_whose_head_takes_too_long_is_504(service, script):
    """However the time is spent: the time-out is for the whole head (row 63)."""
    service.upstream.script = script

    assert_told(service, "quick", 504, "head_timeout")


def assert_told(service, upstream, status, reason):
    """A problem comes that names the upstream and no address; nothing is held."""
    got = httpx2.get(f"{service.url}/{upstream}/x", timeout=60)

    problem = got.json()
    assert (got.status_code, problem["reason"]) == (status, reason)
    assert got.headers["content-type"] == "application/problem+json"
    assert problem["upstream"] == upstream
    assert str(service.upstream.port) not in got.text
    until(lambda: idle(service))


@pytest.mark.parametrize("script", CUT.values(), ids=CUT.keys())
def test_answer_that_breaks_off_is_never_taken_for_whole(service, script):
    """The client's connection is cut in the middle of the body (row 63)."""
    service.upstream.script = script

    with RawConnection(service.ports["httpserver"]) as client:
        client.send(get(b"/quick/x" if script is CUT["a pause"] else b"/up/x"))
        try:
            answers = client.answers(1)
        except Cut:
            answers = []

    assert [each.status for each in answers] in ([], [502])
    until(lambda: idle(service))


def test_endless_answer_ends_with_its_client(service):
    """A client that leaves takes the upstream's work with it (row 63)."""
    service.upstream.script = endless
    before = service.upstream.ended

    with RawConnection(service.ports["httpserver"]) as client:
        client.send(get(b"/up/x"))
        until(lambda: client._receive(1.0))

    until(lambda: service.upstream.ended > before)
    until(lambda: idle(service))


def test_client_that_leaves_before_the_head_cancels_the_upstream(service):
    """Nobody works for a client that is gone."""
    service.upstream.script = then(b"", end=False)
    before = service.upstream.ended, len(service.upstream.requests)

    with RawConnection(service.ports["httpserver"]) as client:
        client.send(get(b"/up/x"))
        until(lambda: len(service.upstream.requests) > before[1])

    began = time.monotonic()
    until(lambda: service.upstream.ended > before[0])
    assert time.monotonic() - began < 20  # not by the time-out of the head
    until(lambda: idle(service))


@pytest.mark.parametrize(
    "extra",
    [b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil", b"more than announced"],
    ids=["a second answer", "more bytes"],
)
def test_more_than_the_answer_is_dropped_and_the_connection_not_used_again(
    service, extra
):
    """Who asks next does not get what nobody asked for (row 64)."""
    service.upstream.script = lambda peer: (
        peer.request(),
        peer.send(OK + extra),
        peer.request() and peer.send(answer(b"reused")),
    )

    got = [httpx2.get(f"{service.url}/up/{n}").text for n in range(3)]

    assert got == ["ok", "ok", "ok"]


def test_upstream_that_ends_while_the_body_is_awaited_is_asked_anew(service):
    """The request was not sent yet, so nothing speaks against another connection."""
    ending = threading.Event()

    def script(peer):
        while peer.request() is not None:
            peer.send(OK)
            if not ending.is_set():
                ending.wait(30)
                return

    service.upstream.script = script
    with RawConnection(service.ports["httpserver"]) as client:
        client.send(get(b"/up/x"))
        assert client.answer().status == 200
        ended = service.upstream.ended
        client.send(request(b"POST /up/x HTTP/1.1", b"Host: a", b"Content-Length: 2"))
        until(lambda: counted(service, REUSED, reused="true"))
        ending.set()
        until(lambda: service.upstream.ended > ended)

        client.send(b"ab")
        got = client.answer()

    assert (got.status, got.body) == (200, b"ok")
    assert service.upstream.requests[-1][2] == b"ab"


def test_connection_that_the_upstream_wants_to_close_is_not_used_again(service):
    """As one that drains says: not even when it is slow to close."""
    closing = answer(b"ok", b"connection: close")
    service.upstream.script = lambda peer: (
        peer.request(),
        peer.send(closing),
        peer.request() and peer.send(answer(b"reused")),
    )

    got = [httpx2.get(f"{service.url}/up/{n}").text for n in range(5)]
    posted = [httpx2.post(f"{service.url}/up/{n}").text for n in range(5)]

    assert got + posted == ["ok"] * 10


def test_refused_connection_is_502_and_the_log_has_the_cause():
    """Client and log are told as much as each should know."""
    with recording_upstream(OK) as upstream:
        port = upstream.port
    with proxying(route(f"http://127.0.0.1:{port}", retries=0)) as service:
        got = httpx2.get(f"{service.url}/up/x")
        logged = service.await_event("upstream_failed")

    assert (got.status_code, got.json()["reason"]) == (502, "refused")
    assert logged["endpoint"] == f"127.0.0.1:{port}"
    assert "refused" in logged["cause"]


def test_upstream_that_keeps_failing_is_left_alone_and_comes_back():
    """503 with Retry-After while the breaker is open; a probe closes it."""
    with (
        recording_upstream(then(b"")) as upstream,
        proxying(
            route(upstream.url, retries=0),
            proxy__breaker__minimum_calls=5,
            proxy__breaker__open_for=4,  # to be seen open on a busy machine too
        ) as service,
        httpx2.Client(timeout=60) as http,
    ):
        url = f"{service.url}/up/x"
        statuses = [http.get(url).status_code for _ in range(6)]
        refused = http.get(url)
        asked = upstream.connections
        state = counted(
            service, "httpserver_proxy_breaker_state", upstream="up", state="open"
        )
        upstream.script = then(OK)
        until(lambda: http.get(url).status_code == 200)

    assert statuses == [502] * 5 + [503]
    assert (refused.status_code, refused.json()["reason"]) == (503, "open")
    assert int(refused.headers["retry-after"]) >= 1
    assert asked == 5
    assert state == 1


def test_body_too_large_is_413_and_the_upstream_gets_no_whole_request(service):
    """The limit holds for bodies of any framing."""
    service.upstream.script = then(OK, end=False)
    before = len(service.upstream.requests)
    limit = 1_048_576

    with RawConnection(service.ports["httpserver"]) as client:
        client.send(post(b"Content-Length: %d" % (limit * 100), path=b"/up/x"))
        announced = client.answer().status
    with RawConnection(service.ports["httpserver"]) as client:
        client.send(post(b"Transfer-Encoding: chunked", path=b"/up/x"))
        for _ in range(80):
            client.send(b"10000\r\n" + b"a" * 65536 + b"\r\n")
        chunked = client.answer().status

    assert (announced, chunked) == (413, 413)
    assert len(service.upstream.requests) == before
    until(lambda: idle(service))
