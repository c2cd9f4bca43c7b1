"""Requests that break a rule: refused once, and nothing behind them is run."""

import pytest

from tests.support.memory_app import POST, App, statuses
from tests.support.memory_connection import MemoryConnection, request


@pytest.mark.parametrize(
    ("sent", "status", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400, "bad_host"),
        (b"GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n", 400, "bad_host"),
        (b"GET / HTTP/1.1\r\nhost: a/b\r\n\r\n", 400, "bad_host"),
        (b"GET /../x HTTP/1.1\r\nhost: a\r\n\r\n", 400, "bad_target"),
        (b"GET http://a b/ HTTP/1.1\r\nhost: a\r\n\r\n", 400, "bad_request"),
        (b"GET http://u@b/ HTTP/1.1\r\nhost: a\r\n\r\n", 400, "bad_host"),
        (b"NOPE / HTTP/1.1\r\nhost: a\r\n\r\n", 400, "bad_request"),
        (b"CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n", 400, "bad_request"),
        (
            POST + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            400,
            "bad_request",
        ),
        (
            POST + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            "bad_request",
        ),
        (POST + b"content-length: 1\r\ncontent-length: 2\r\n\r\n1", 400, "bad_request"),
        (request("/" + "a" * 100), 414, "target_too_long"),
        (request("/", *["x: 1"] * 6), 431, "too_many_headers"),
        (request("/", "x: " + "1" * 200), 431, "headers_too_large"),
    ],
)
async def test_head_that_breaks_a_rule_is_refused_once(sent, status, reason):
    """One answer, the connection ended, and nothing after it is run."""
    app = App()
    limits = {"max_target_bytes": 64, "max_headers": 6, "max_header_bytes": 128}
    connection = MemoryConnection(app, **limits)

    await connection.send(sent + request("/after"), request("/later"))

    assert [(each.status, each.closes) for each in connection.answers()] == [
        (status, True)
    ]
    assert connection.counts.refusals == [reason]
    assert app.paths == []
    assert connection.ends


@pytest.mark.parametrize(
    "sent",
    [
        b"HEAD /../x HTTP/1.1\r\nhost: a\r\n\r\n",
        b"HEAD / HTTP/1.1\r\n\r\n",
        b"HEAD /" + b"a" * 100,
        b"HEAD / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n",
    ],
    ids=["bad target", "no host", "half a head", "half a body"],
)
async def test_refused_head_request_gets_no_body(sent):
    """It tells the length alone, as any answer to HEAD (RFC 9110 §9.3.2)."""
    connection = MemoryConnection(App(), max_target_bytes=64)

    await connection.send(sent)
    await connection.check(11)

    (refused,) = connection.answers("HEAD")
    assert refused.status >= 400
    assert int(refused.headers["content-length"]) > 0


@pytest.mark.parametrize(
    ("failing", "behind"), [("HEAD", "GET"), ("GET", "HEAD")], ids=["head", "get"]
)
async def test_failed_request_is_answered_by_its_own_method(failing, behind):
    """Whatever the parser has read since."""

    async def app(_scope, _receive, _send):
        """Answer nothing."""

    connection = MemoryConnection(app)
    await connection.send(request("/a", method=failing) + request("/b", method=behind))

    (failed,) = connection.answers(failing)
    assert (failed.status, failed.body != b"") == (500, failing == "GET")


async def test_request_that_is_none_gets_a_body_behind_a_head_request():
    """The method of the request before is not its own."""
    connection = MemoryConnection(App())

    await connection.send(request("/a", method="HEAD"), b"BAD\r\n\r\n")

    first, refused = connection.answers("HEAD", "GET")
    assert (first.status, refused.status) == (200, 400)
    assert refused.body


@pytest.mark.parametrize(
    ("piece", "status"), [(b"a", 414), (b"\r\nx: 1", 431)], ids=["target", "headers"]
)
async def test_head_without_an_end_is_refused_when_it_is_too_long(piece, status):
    """It need not be whole to be too long."""
    connection = MemoryConnection(App(), max_target_bytes=64, max_header_bytes=128)
    start = b"GET /" if status == 414 else b"GET / HTTP/1.1\r\nhost: a"

    await connection.send(start, *[piece] * 2000)

    assert statuses(connection) == [status]


async def test_body_that_breaks_before_the_answer_is_refused():
    """The application gets no end of it, and the client one answer."""
    app = App()
    connection = MemoryConnection(app)

    await connection.send(
        POST + b"transfer-encoding: chunked\r\n\r\n2\r\nab\r\n", b"zz\r\n"
    )

    assert statuses(connection) == [400]
    assert app.events[-1] == {"type": "http.disconnect"}
    assert connection.ends


async def test_body_that_breaks_during_the_answer_cuts_it():
    """A request never gets two answers."""

    async def app(_scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"so", "more_body": True})
        await receive()
        await receive()

    connection = MemoryConnection(app)
    await connection.send(
        POST + b"transfer-encoding: chunked\r\n\r\n2\r\nab\r\n", b"zz\r\n"
    )

    assert connection.transport.aborted
    assert connection.transport.written.count(b"HTTP/1.1") == 1


async def test_body_that_is_mostly_framing_is_refused():
    """Chunk extensions without an end are not read without an end."""
    connection = MemoryConnection(App())

    await connection.send(
        POST + b"transfer-encoding: chunked\r\n\r\n1;", *[b"x" * 8192] * 12
    )

    assert statuses(connection) == [400]


async def test_bytes_after_a_refusal_are_thrown_away_up_to_a_limit():
    """A client that goes on sending is no longer read."""
    connection = MemoryConnection(App())

    await connection.send(b"BAD\r\n\r\n", *[b"x" * 65_536] * 8)

    assert statuses(connection) == [400]
    assert not connection.transport.reading


async def test_time_limit_behind_a_refusal_leaves_the_client_its_answer():
    """The handler goes on until its own limit; the client may still be reading."""
    connection = MemoryConnection(App(waits=True))
    await connection.send(POST + b"content-length: 1000\r\n\r\n")
    await connection.check(11)

    for task in connection.guard.tasks:
        task.cancel()
    await connection.settle()

    assert statuses(connection) == [408]
    assert not connection.transport.aborted
