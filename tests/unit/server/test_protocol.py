"""One connection in memory: what ends it, and what the application gets."""

import time

import pytest

from service.server.guard import Drain, Guard
from service.server.limits import Limits
from tests.support.memory_app import POST, App, bodies, statuses
from tests.support.memory_connection import MemoryConnection, request

HEAD_ONLY = request()[:-2]


# -- keeping and closing --


async def test_requests_one_by_one_are_answered_on_one_connection():
    """HTTP/1.1 keeps the connection without a word."""
    connection = MemoryConnection(App())

    await connection.send(request("/a"), request("/b"))

    assert bodies(connection) == [b"/a", b"/b"]
    assert not connection.ends
    assert "connection" not in connection.answers()[0].headers


@pytest.mark.parametrize(
    "last",
    [
        request("/", "connection: close"),
        request("/", version="1.0"),
        request("/", "connection: keep-alive", version="1.0"),
    ],
    ids=["close", "1.0", "1.0 keep-alive"],
)
async def test_request_that_ends_the_connection_is_the_last(last):
    """The answer says so, and what follows is not run."""
    app = App()
    connection = MemoryConnection(app)

    await connection.send(last + request("/after"))

    assert app.paths == ["/"]
    assert [each.closes for each in connection.answers()] == [True]
    assert connection.ends


async def test_upgrade_is_answered_as_a_plain_request():
    """What follows belongs to a protocol that is not spoken here."""
    app = App()
    connection = MemoryConnection(app)

    upgrade = request("/ws", "connection: upgrade", "upgrade: websocket")
    await connection.send(upgrade + b"\x81\x05hello", request("/after"))

    assert app.paths == ["/ws"]
    assert [(each.body, each.closes) for each in connection.answers()] == [
        (b"/ws", True)
    ]
    assert connection.ends


async def test_upgrade_with_a_body_is_read_to_its_end():
    """A body that comes in two pieces is whole all the same."""
    connection = MemoryConnection(App())
    headers = ("connection: upgrade", "upgrade: h2c")
    whole = request("/", *headers, method="POST", body=b"12345")

    await connection.send(whole[:-2], whole[-2:])

    assert bodies(connection) == [b"/12345"]


def drained(app) -> MemoryConnection:
    """Return a connection of a server that leaves."""
    drain = Drain()
    drain.active = True
    return MemoryConnection(app, guard=Guard(drain=drain))


async def test_drain_closes_after_the_answer():
    """While the server leaves, each answer is its connection's last."""
    connection = drained(App())

    await connection.send(request("/a") + request("/b"))

    assert [(each.body, each.closes) for each in connection.answers()] == [
        (b"/a", True)
    ]


async def test_client_that_may_still_send_can_read_its_last_answer():
    """Closed with a request unread, the kernel would drop what is on its way."""
    connection = drained(App())
    await connection.send(request("/a"))
    assert connection.transport.ended
    assert not connection.transport.closed

    await connection.send(request("/b"))
    assert bodies(connection) == [b"/a"]
    await connection.check(1.1)

    assert connection.transport.closed


async def test_client_that_takes_its_last_answer_slowly_is_not_hurried():
    """The second that a half-closed connection has begins when all is taken."""
    connection = drained(App())
    await connection.send(request("/a"))
    connection.transport.unsent = 1000
    await connection.check(20)
    connection.transport.unsent = 0
    await connection.check(20.5)
    assert not connection.transport.closed

    await connection.check(21.1)

    assert connection.transport.closed


async def test_client_that_asked_for_the_end_gets_it_at_once():
    """It sends no more, so there is nothing to wait for."""
    connection = drained(App())

    await connection.send(request("/a", "connection: close"))

    assert connection.transport.closed


async def test_tls_is_closed_at_once():
    """Its end reads on by itself, and there is no half of it."""
    connection = drained(App())
    connection.transport.can_write_eof = lambda: False

    await connection.send(request("/a"))

    assert connection.transport.closed


@pytest.mark.parametrize("before", [[], [request()]], ids=["new", "kept alive"])
async def test_shutdown_closes_an_idle_connection(before):
    """A connection that nothing has come on goes at once."""
    connection = MemoryConnection(App())
    await connection.send(*before)

    connection.protocol.shutdown()

    assert connection.transport.closed


async def test_shutdown_lets_the_requests_that_are_there_be_answered():
    """All that was pipelined is answered; the last answer closes."""
    app = App(waits=True)
    connection = MemoryConnection(app)
    await connection.send(request("/a") + request("/b"))

    connection.protocol.shutdown()
    app.may.set()
    await connection.settle()

    assert [each.closes for each in connection.answers()] == [False, True]
    assert connection.ends


async def test_shutdown_lets_half_a_head_become_whole():
    """A request that has begun to come is answered, and the connection closed."""
    connection = MemoryConnection(App())
    await connection.send(HEAD_ONLY)

    connection.protocol.shutdown()
    await connection.send(b"\r\n")

    assert [each.closes for each in connection.answers()] == [True]
    assert connection.ends


async def test_connection_that_opens_while_leaving_has_one_answer():
    """A handshake that was on its way is no reason to lose a request."""
    guard = Guard()
    guard.leaving = True
    connection = MemoryConnection(App(), guard=guard)

    await connection.check(0.5)
    await connection.send(request("/a"))

    assert [(each.body, each.closes) for each in connection.answers()] == [
        (b"/a", True)
    ]
    assert connection.ends


async def test_silent_connection_that_opens_while_leaving_holds_nobody_up():
    """It has a second, not the time of a head."""
    guard = Guard()
    guard.leaving = True
    connection = MemoryConnection(App(), guard=guard)

    await connection.check(1.1)

    assert connection.transport.closed
    assert connection.transport.written == b""


async def test_connection_beyond_the_limit_is_refused():
    """It is told to come again, and is not heard."""
    guard = Guard(lambda: Limits(max_connections=1))
    first = MemoryConnection(app := App(), guard=guard)
    second = MemoryConnection(app, guard=guard)

    await second.send(request())
    await first.send(request())

    assert [each.status for each in second.answers()] == [503]
    assert second.answers()[0].headers["retry-after"] == "1"
    assert statuses(first) == [200]


# -- what the application gets --


async def test_scope_tells_the_request():
    """Path decoded, names in lower case, query apart."""
    app = App()

    await MemoryConnection(app).send(request("/caf%C3%A9?q=%20", "X-One: 1"))

    scope = app.scopes[0]
    assert scope["path"] == "/café"
    assert scope["raw_path"] == b"/caf%C3%A9"
    assert scope["query_string"] == b"q=%20"
    assert scope["headers"] == [(b"host", b"a"), (b"x-one", b"1")]
    assert (scope["http_version"], scope["method"]) == ("1.1", "GET")


async def test_blanks_around_a_value_are_no_part_of_it():
    """RFC 9112 §5: neither for the application nor for the listener's own rules."""
    app = App()
    connection = MemoryConnection(app)
    head = b"POST / HTTP/1.1\r\nHost: \t a \t\r\nX-One: 1 2  \r\nX-None: \t \r\n"
    expect = b"Expect: 100-continue \r\nContent-Length: 2 \t\r\n\r\n"

    await connection.send(head + expect)
    assert statuses(connection) == [100]
    await connection.send(b"ab")

    assert bodies(connection) == [b"", b"/ab"]
    assert app.scopes[0]["headers"] == [
        (b"host", b"a"),
        (b"x-one", b"1 2"),
        (b"x-none", b""),
        (b"expect", b"100-continue"),
        (b"content-length", b"2"),
    ]


async def test_host_of_the_target_replaces_that_of_the_header():
    """RFC 9112 §3.2.2: the absolute form is what counts."""
    app = App()

    await MemoryConnection(app).send(request("http://b:80/x"))

    assert app.scopes[0]["path"] == "/x"
    assert app.scopes[0]["headers"] == [(b"host", b"b:80")]


async def test_client_that_left_is_told_to_the_application():
    """`receive` says so; what is sent then goes nowhere."""
    app = App()
    connection = MemoryConnection(app)
    await connection.send(POST + b"content-length: 5\r\n\r\n12")

    await connection.leave()

    assert app.events[-1] == {"type": "http.disconnect"}
    assert connection.transport.written == b""
    assert not connection.guard.tasks
    assert connection.counts.open == 0


async def test_kernel_is_asked_for_the_first_request_alone():
    """Later requests have waited for their own connection."""
    app = App()
    began = time.perf_counter()
    await MemoryConnection(app).send(request(), request())

    received = [each["httpserver.received"] for each in app.scopes]

    assert began <= received[0] <= received[1] <= time.perf_counter()
