"""One connection in memory: framing, order, time-outs, refusals and the end."""

import asyncio
import time

import pytest

from service.server.guard import Drain, Guard
from service.server.limits import Limits
from service.server.request_reader import HIGH_WATER, PIPELINED
from tests.support.memory_connection import MemoryConnection, request

HEAD_ONLY = request()[:-2]
POST = b"POST / HTTP/1.1\r\nhost: a\r\n"


class App:
    """Answers with the path and what it read, when it may."""

    def __init__(self, *, reads: bool = True, waits: bool = False) -> None:
        self.reads = reads
        self.may = asyncio.Event()
        if not waits:
            self.may.set()
        self.scopes: list[dict] = []
        self.events: list[dict] = []

    @property
    def paths(self) -> list[str]:
        return [each["path"] for each in self.scopes]

    async def __call__(self, scope, receive, send) -> None:
        self.scopes.append(scope)
        await self.may.wait()
        body, more = b"", self.reads
        while more:
            event = await receive()
            self.events.append(event)
            body += event.get("body", b"")
            more = event.get("more_body", False)
        await answer(send, scope["path"].encode() + body)


async def answer(send, body: bytes, *, status: int = 200, headers=()) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def bodies(connection: MemoryConnection) -> list[bytes]:
    return [each.body for each in connection.answers()]


def statuses(connection: MemoryConnection) -> list[int]:
    return [each.status for each in connection.answers()]


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


async def test_drain_closes_after_the_answer():
    """While the server leaves, each answer is its connection's last."""
    drain = Drain()
    drain.active = True
    connection = MemoryConnection(App(), guard=Guard(drain=drain))

    await connection.send(request("/a") + request("/b"))

    assert [(each.body, each.closes) for each in connection.answers()] == [
        (b"/a", True)
    ]


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


async def test_host_of_the_target_replaces_that_of_the_header():
    """RFC 9112 §3.2.2: the absolute form is what counts."""
    app = App()

    await MemoryConnection(app).send(request("http://b:80/x"))

    assert app.scopes[0]["path"] == "/x"
    assert app.scopes[0]["headers"] == [(b"host", b"b:80")]


async def test_trailers_are_dropped():
    """They are neither headers nor body, of this request or the next."""
    app = App()
    connection = MemoryConnection(app)
    chunked = request("/", method="POST", chunks=[b"ab"])[:-2]

    await connection.send(chunked + b"x-late: 1\r\nhost: b\r\n\r\n", request("/b"))

    assert bodies(connection) == [b"/ab", b"/b"]
    assert all((b"x-late", b"1") not in each["headers"] for each in app.scopes)


@pytest.mark.parametrize("how", ["length", "chunks"])
async def test_large_body_in_pieces_comes_whole(how):
    """A megabyte goes through, whatever pieces it comes in."""
    app = App()
    connection = MemoryConnection(app)
    body = bytes(range(256)) * 4096
    pieces = [body[at : at + 9_999] for at in range(0, len(body), 9_999)]
    whole = (
        request("/", method="POST", body=body)
        if how == "length"
        else request("/", method="POST", chunks=pieces)
    )

    await connection.send(
        *(whole[at : at + 7_000] for at in range(0, len(whole), 7_000))
    )

    assert bodies(connection) == [b"/" + body]


async def test_body_that_nobody_takes_pauses_reading():
    """No more than `HIGH_WATER` and one piece waits for the application."""
    app = App(waits=True)
    connection = MemoryConnection(app)
    body = b"x" * (HIGH_WATER * 4)
    await connection.send(POST + b"content-length: %d\r\n\r\n" % len(body))

    await connection.send(*(body[at : at + 8192] for at in range(0, len(body), 8192)))

    assert not connection.transport.reading
    assert sum(map(len, connection.transport.waiting)) >= len(body) - HIGH_WATER - 8192
    app.may.set()
    await connection.settle()
    await connection.settle()
    assert bodies(connection) == [b"/" + body]


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


# -- pipelining --


async def test_pipelined_requests_are_answered_in_their_order():
    """A slow first answer holds those behind it."""
    turns = {path: asyncio.Event() for path in ("/a", "/b", "/c")}

    async def app(scope, _receive, send):
        await turns[scope["path"]].wait()
        await answer(send, scope["path"].encode())

    connection = MemoryConnection(app)
    await connection.send(b"".join(request(path) for path in turns))
    for path in ("/c", "/b"):
        turns[path].set()
        await connection.settle()
        assert connection.answers() == []
    turns["/a"].set()
    await connection.settle()

    assert bodies(connection) == [b"/a", b"/b", b"/c"]


async def test_too_many_pipelined_requests_pause_reading():
    """What is beyond stays with the client until its turn comes."""
    app = App(waits=True)
    connection = MemoryConnection(app)

    await connection.send(*(request(f"/{number}") for number in range(PIPELINED + 1)))
    assert connection.transport.reading
    await connection.send(*(request(f"/{number}") for number in range(17, 40)))
    assert not connection.transport.reading
    assert connection.transport.waiting
    app.may.set()
    for _ in range(40):
        await connection.settle()

    assert bodies(connection) == [b"/%d" % number for number in range(40)]


async def test_thousands_of_pipelined_requests_in_one_piece_are_all_answered():
    """However deep the queue, no answer is made within another."""
    connection = MemoryConnection(App(reads=False))

    await connection.send(request("/a") * 3000)
    while connection.guard.tasks:
        await connection.settle()

    assert bodies(connection) == [b"/a"] * 3000


async def test_malformed_request_behind_another_ends_the_connection_after_it():
    """The answer that is under way comes, and no second one for the rest."""
    app = App(waits=True)
    connection = MemoryConnection(app)

    await connection.send(request("/a") + b"BAD\r\n\r\n" + request("/b"))
    app.may.set()
    await connection.settle()

    assert [(each.body, each.closes) for each in connection.answers()] == [
        (b"/a", True)
    ]
    assert app.paths == ["/a"]
    assert connection.counts.refusals == ["bad_request"]
    assert connection.ends


async def test_half_a_head_behind_a_slow_answer_does_not_cost_that_answer():
    """The first request is answered, however late the second one is."""
    app = App(waits=True)
    connection = MemoryConnection(app)
    await connection.send(request("/a") + b"GET /")

    await connection.check(11)
    app.may.set()
    await connection.settle()

    assert bodies(connection) == [b"/a"]
    assert connection.ends


async def test_half_a_head_in_the_piece_of_the_request_before_gets_408():
    """It is half a head, and not a silent connection."""
    connection = MemoryConnection(App())
    await connection.send(request("/a") + b"GET /")

    await connection.check(11)

    assert statuses(connection) == [200, 408]


async def test_half_a_head_behind_a_discarded_body_has_the_time_of_a_head():
    """The end of a body nobody wanted may bring the start of the next request."""
    connection = MemoryConnection(App(reads=False))
    await connection.send(POST + b"content-length: 2\r\n\r\n", b"12GET /")

    await connection.check(11)

    assert connection.ends


# -- refusals --


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


# -- an application that answers early --


async def test_early_answer_to_a_small_body_keeps_the_connection():
    """The rest is read and thrown away; the next request is answered."""
    connection = MemoryConnection(App(reads=False))

    await connection.send(POST + b"content-length: 4\r\n\r\n12", b"34", request("/b"))

    assert bodies(connection) == [b"/", b"/b"]
    assert not connection.ends


@pytest.mark.parametrize(
    "header",
    [
        b"content-length: 65537",
        b"transfer-encoding: chunked",
        b"content-length: 4\r\nexpect: 100-continue",
    ],
    ids=["large", "chunked", "100-continue"],
)
async def test_early_answer_to_a_body_that_is_not_worth_reading_closes(header):
    """The client may still read its answer; its body goes nowhere."""
    app = App(reads=False)
    connection = MemoryConnection(app)

    await connection.send(POST + header + b"\r\n\r\n", b"1234", request("/b"))

    assert [(each.body, each.closes) for each in connection.answers()] == [(b"/", True)]
    assert connection.transport.ended
    assert not connection.transport.closed
    assert app.paths == ["/"]
    await connection.check(1.1)
    assert connection.transport.closed


async def test_early_answer_to_a_body_that_has_paused_reading_keeps_the_connection():
    """A rest that is small enough is read on, in whatever pieces it comes."""
    app = App(reads=False, waits=True)
    connection = MemoryConnection(app)
    await connection.send(POST + b"content-length: 100000\r\n\r\n" + b"x" * 70_000)
    app.may.set()
    await connection.settle()

    await connection.send(b"x" * 10_000, b"x" * 20_000, request("/b"))

    assert bodies(connection) == [b"/", b"/b"]


async def test_client_that_waits_for_continue_gets_it_when_the_body_is_wanted():
    """The interim answer comes once, before the real one."""
    connection = MemoryConnection(App())

    await connection.send(POST + b"expect: 100-continue\r\ncontent-length: 2\r\n\r\n")
    assert statuses(connection) == [100]
    await connection.send(b"12")

    assert bodies(connection) == [b"", b"/12"]
    assert not connection.ends


# -- back-pressure --


async def test_client_that_takes_nothing_holds_its_pipelined_requests():
    """The next one begins when what was sent is taken."""
    app = App(waits=True)
    connection = MemoryConnection(app)
    await connection.send(request("/a") + request("/b"))
    connection.protocol.pause_writing()
    app.may.set()
    await connection.settle()
    assert app.paths == ["/a"]

    connection.protocol.resume_writing()
    await connection.settle()

    assert bodies(connection) == [b"/a", b"/b"]


async def test_client_that_takes_nothing_holds_the_requests_it_sends_then():
    """Else one that only ever sends would have all answers kept for it."""
    app = App()
    connection = MemoryConnection(app)
    await connection.send(request("/a"))
    connection.protocol.pause_writing()

    await connection.send(request("/b"), request("/c"))

    assert app.paths == ["/a"]
    connection.protocol.resume_writing()
    await connection.settle()
    assert bodies(connection) == [b"/a", b"/b", b"/c"]


async def test_stream_waits_for_a_client_that_takes_nothing():
    """One piece is written, the next when that was taken."""
    paused = asyncio.Event()

    async def app(_scope, _receive, send):
        await paused.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(3):
            await send({"type": "http.response.body", "body": b"ab", "more_body": True})
        await send({"type": "http.response.body"})

    connection = MemoryConnection(app)
    await connection.send(request())
    connection.protocol.pause_writing()
    paused.set()
    await connection.settle()
    assert connection.transport.written.count(b"ab") == 1

    connection.protocol.resume_writing()
    await connection.settle()

    assert bodies(connection) == [b"ababab"]


# -- time-outs --


async def test_silent_connection_is_closed_without_an_answer():
    """Nobody asked, so nobody is answered."""
    connection = MemoryConnection(App())

    await connection.check(9)
    assert not connection.ends
    await connection.check(11)

    assert connection.transport.closed
    assert connection.transport.written == b""
    assert connection.counts.closings == ["silent"]


async def test_head_that_drips_gets_408():
    """Its time runs from the accept, however steadily it comes."""
    connection = MemoryConnection(App())
    await connection.send(b"GET / HT", b"TP/1.1\r\n")

    await connection.check(9)
    assert not connection.ends
    await connection.check(11)

    assert [(each.status, each.closes) for each in connection.answers()] == [
        (408, True)
    ]
    assert connection.counts.refusals == ["header_timeout"]


async def test_idle_connection_is_closed_quietly():
    """After an answer the longer time of an idle connection counts."""
    connection = MemoryConnection(App())
    await connection.send(request())

    await connection.check(70)
    assert not connection.ends
    await connection.check(76)

    assert connection.transport.closed
    assert statuses(connection) == [200]
    assert connection.counts.closings == ["idle_timeout"]


async def test_slow_body_gets_408():
    """It is refused in place of the application's answer."""
    app = App()
    connection = MemoryConnection(app)
    await connection.send(POST + b"content-length: 50000\r\n\r\n", b"x" * 10_500)

    await connection.check(9)
    await connection.check(10.4)
    assert not connection.ends
    await connection.check(11)

    assert statuses(connection) == [408]
    assert app.events[-1] == {"type": "http.disconnect"}


async def test_body_of_a_pipelined_request_that_is_slow_leaves_the_answer_before_it():
    """The request before it is answered, and the connection ended."""
    app = App(waits=True)
    connection = MemoryConnection(app)
    await connection.send(request("/a") + POST + b"content-length: 5\r\n\r\n")

    await connection.check(11)
    app.may.set()
    await connection.settle()

    assert [(each.body, each.closes) for each in connection.answers()] == [
        (b"/a", True)
    ]
    assert app.paths == ["/a"]


async def test_body_that_is_not_read_by_us_is_not_late():
    """While reading is paused, the time is not the client's."""
    connection = MemoryConnection(App(waits=True))
    await connection.send(POST + b"content-length: 100000\r\n\r\n" + b"x" * 70_000)

    await connection.check(1000)

    assert not connection.ends


async def test_client_that_waits_for_continue_is_not_late():
    """Until it is told to go on, the time is not the client's."""
    app = App(waits=True)
    connection = MemoryConnection(app)
    await connection.send(POST + b"expect: 100-continue\r\ncontent-length: 2\r\n\r\n")

    await connection.check(11)
    app.may.set()
    await connection.send(b"12")

    assert bodies(connection) == [b"", b"/12"]


async def test_slow_application_is_not_timed_here():
    """Its time limit is a filter's business."""
    connection = MemoryConnection(App(waits=True))
    await connection.send(request())

    await connection.check(1000)

    assert not connection.ends


async def test_client_that_takes_nothing_is_reset():
    """After `write_timeout` without a byte taken; taking a byte gives it anew."""
    connection = MemoryConnection(App())
    await connection.send(request())
    connection.transport.unsent = 1000
    await connection.check(0)
    await connection.check(29)
    connection.transport.unsent = 999
    await connection.check(31)
    assert not connection.transport.aborted

    await connection.check(62)

    assert connection.transport.aborted
    assert connection.counts.closings == ["write_timeout"]


async def test_time_out_of_zero_is_none():
    """Whoever wants to wait without end may."""
    names = ("header_timeout", "idle_timeout", "body_timeout", "write_timeout")
    none = dict.fromkeys(names, 0)
    silent, idle = MemoryConnection(App(), **none), MemoryConnection(App(), **none)
    slow = MemoryConnection(App(), **none)
    await idle.send(request())
    await slow.send(POST + b"content-length: 5\r\n\r\n")
    idle.transport.unsent = 5

    for connection in (silent, idle, slow):
        await connection.check(0)
        await connection.check(1e6)

    assert not any(each.ends for each in (silent, idle, slow))


async def test_kernel_is_asked_for_the_first_request_alone():
    """Later requests have waited for their own connection."""
    app = App()
    began = time.perf_counter()
    await MemoryConnection(app).send(request(), request())

    received = [each["httpserver.received"] for each in app.scopes]

    assert began <= received[0] <= received[1] <= time.perf_counter()


async def test_reader_whose_buffer_is_always_full_makes_progress():
    """A new piece takes the place of the one that was read: nothing looks smaller."""
    connection = MemoryConnection(App(), write_timeout=5)
    await connection.send(request())
    connection.transport.unsent = 1000
    for second in (1, 4, 7, 10):
        connection.protocol.given += 1000
        await connection.check(second)
    assert not connection.transport.aborted

    await connection.check(16)

    assert connection.transport.aborted


@pytest.mark.parametrize("unsent", [1, 100, 5000])
async def test_first_look_at_unsent_bytes_is_never_the_last(unsent):
    """Whoever has taken nothing yet has the whole time-out, TLS's own bytes or not."""
    connection = MemoryConnection(App(), write_timeout=5)
    connection.transport.unsent = unsent
    connection.protocol.given = 100

    await connection.check(100)
    await connection.check(104)
    assert not connection.transport.aborted
    await connection.check(106)

    assert connection.transport.aborted
