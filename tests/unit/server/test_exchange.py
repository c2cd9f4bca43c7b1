"""An answer is framed as its request and status want it, or the client sees it fail."""

import asyncio

import pytest

from service.server.exchange import PIECE
from service.server.heads import FixedHeaders
from tests.support.memory_connection import MemoryConnection, read_answers, request


def start(status=200, *headers) -> dict:
    return {"type": "http.response.start", "status": status, "headers": headers}


def body(data=b"", *, more=False) -> dict:
    return {"type": "http.response.body", "body": data, "more_body": more}


def sending(*messages):
    """Return an application that sends *messages*; one that is an error is raised."""

    async def app(_scope, _receive, send):
        for each in messages:
            if isinstance(each, BaseException):
                raise each
            await send(each)

    return app


def responding(status, headers=(), data=b"", fixed=None):
    """Return an application that answers by the short way."""

    async def app(_scope, _receive, send):
        send.respond(status, headers, data, fixed)

    return app


async def served(app, sent=None, **options) -> MemoryConnection:
    connection = MemoryConnection(app)
    await connection.send(sent or request(**options))
    return connection


LENGTH = (b"content-length", b"3")
STREAM = (body(b"a", more=True), body(b"bc", more=True), body())

FRAMED = {
    "whole": ([start(), body(b"abc")], {"content-length": "3"}, b"abc"),
    "empty": ([start(), body()], {"content-length": "0"}, b""),
    "chunked": ([start(), *STREAM], {"transfer-encoding": "chunked"}, b"abc"),
    "of a length": ([start(200, LENGTH), *STREAM], {"content-length": "3"}, b"abc"),
    "in empty pieces": (
        [start(), body(more=True), body(b"a", more=True), body(more=True), body(b"b")],
        {"transfer-encoding": "chunked"},
        b"ab",
    ),
    "204": ([start(204), body()], {}, b""),
    "204 of a length": ([start(204, (b"content-length", b"0")), body()], {}, b""),
    "304": ([start(304), body()], {}, b""),
    "304 of a length": ([start(304, LENGTH), body()], {"content-length": "3"}, b""),
}


@pytest.mark.parametrize(("messages", "headers", "data"), FRAMED.values(), ids=FRAMED)
async def test_answer_is_framed(messages, headers, data):
    """By length when it is known, in chunks when not; and the connection stays."""
    connection = await served(sending(*messages))

    answer = connection.answers()[0]
    assert {k: v for k, v in answer.headers.items() if k != "date"} == headers
    assert answer.body == data
    assert not connection.ends


@pytest.mark.parametrize(
    ("messages", "headers", "data"),
    [each for name, each in FRAMED.items() if "20" not in name and "30" not in name],
)
async def test_head_has_the_headers_of_get_without_the_body(messages, headers, data):
    """RFC 9110 §9.3.2; the next answer is not taken for its body."""
    connection = await served(sending(*messages), request(method="HEAD") * 2)

    for answer in connection.answers("HEAD", "HEAD"):
        assert {k: v for k, v in answer.headers.items() if k != "date"} == headers


async def test_http_1_0_without_a_length_ends_with_the_connection():
    """It knows no chunks."""
    connection = await served(sending(start(), *STREAM), version="1.0")

    answer = connection.answers()[0]
    assert answer.body == b"abc"
    assert "transfer-encoding" not in answer.headers
    assert answer.closes
    assert connection.ends


async def test_application_may_close():
    """`connection: close` is obeyed, and told once."""
    app = sending(start(200, (b"connection", b"close")), body(b"a"))
    connection = await served(app, request() * 2)

    assert [each.closes for each in connection.answers()] == [True]
    assert connection.ends


FAILS = {
    "raises": [ValueError()],
    "returns": [],
    "raises after its start": [start(), ValueError()],
    "returns after its start": [start()],
    "sends a body first": [body()],
    "has no such message": [{"type": "http.response.push"}],
    "has no such status": [start(1000), body()],
    "breaks a head": [start(200, (b"x", b"1\r\ny: 2")), body()],
    "breaks a name": [start(200, (b"x y", b"1")), body()],
    "breaks a length": [start(200, (b"content-length", b"x")), body()],
}


@pytest.mark.parametrize("messages", FAILS.values(), ids=FAILS)
async def test_application_that_fails_before_its_head_gets_500(messages):
    """The client is answered, without a word of what went wrong."""
    connection = await served(sending(*messages))

    assert [(each.status, each.closes) for each in connection.answers()] == [
        (500, True)
    ]
    assert connection.counts.refusals == ["failed"]
    assert connection.ends


CUT = {
    "raises": [start(), body(b"a", more=True), ValueError()],
    "returns": [start(), body(b"a", more=True)],
    "is short": [start(200, LENGTH), body(b"a", more=True), body(b"b")],
    "is short at once": [start(200, LENGTH), body(b"a")],
    "is long": [start(200, LENGTH), body(b"ab", more=True), body(b"cd")],
    "starts twice": [start(), body(b"a", more=True), start()],
    "is cancelled": [start(), body(b"a", more=True), asyncio.CancelledError()],
}


@pytest.mark.parametrize("messages", CUT.values(), ids=CUT)
async def test_application_that_fails_after_its_head_is_cut(messages):
    """The client must see that the answer is not whole."""
    connection = await served(sending(*messages))

    assert connection.transport.aborted
    written = bytes(connection.transport.written)
    assert written.count(b"HTTP/1.1") == 1
    with pytest.raises(AssertionError):
        read_answers(written, (), ended=False)


@pytest.mark.parametrize("last", [ValueError(), body(b"more")], ids=["raises", "sends"])
async def test_application_that_fails_after_its_answer_changes_nothing(last):
    """The client has its answer, and may ask again."""
    connection = await served(sending(start(), body(b"a"), last), request() * 2)

    assert [each.body for each in connection.answers()] == [b"a", b"a"]
    assert not connection.ends


async def test_failure_is_not_answered_by_the_next_request():
    """A pipelined request gets its own answer or none, never that of another."""

    async def app(scope, _receive, send):
        if scope["path"] == "/a":
            raise ValueError
        await sending(start(), body(b"b"))(scope, None, send)

    connection = await served(app, request("/a") + request("/b"))

    assert [each.status for each in connection.answers()][:1] == [500]
    assert connection.ends


async def test_client_that_is_gone_gets_nothing():
    """What is sent to it goes nowhere, and whoever sends without end lets others in."""
    sent = 0

    async def app(_scope, _receive, send):
        nonlocal sent
        await send(start())
        while True:
            await send(body(b"a", more=True))
            sent += 1
            if sent == 3:
                connection.transport.close()
                await asyncio.sleep(0)

    connection = MemoryConnection(app)
    await connection.send(request())

    assert sent > 3
    assert connection.transport.written.count(b"\r\na\r\n") == 3
    for task in connection.guard.tasks:
        task.cancel()
    await connection.settle()
    assert not connection.guard.tasks


@pytest.mark.parametrize("size", [65_536, 65_537, PIECE, PIECE + 1, PIECE * 3])
@pytest.mark.parametrize("short", [False, True], ids=["send", "respond"])
async def test_large_answer_is_whole(size, short):
    """However it is cut on its way."""
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    app = responding(200, data=data) if short else sending(start(), body(data))
    connection = await served(app, request() * 2)

    assert [each.body for each in connection.answers()] == [data, data]
    assert connection.answers()[0].headers["content-length"] == str(size)


async def test_large_answer_waits_for_the_client_piece_by_piece():
    """A slow client holds one piece."""
    connection = MemoryConnection(None)

    async def app(_scope, _receive, send):
        await send(start())
        connection.protocol.pause_writing()
        await send(body(b"x" * PIECE * 3))

    connection.protocol._app = app
    await connection.send(request())
    assert PIECE <= len(connection.transport.written) < PIECE + 1000

    connection.protocol.resume_writing()
    await connection.settle()

    assert len(connection.answers()[0].body) == PIECE * 3


SHORT = {
    "200": (200, b"abc", {"content-length": "3"}),
    "empty": (200, b"", {"content-length": "0"}),
    "204": (204, b"", {}),
    "304": (304, b"", {}),
    "404": (404, b"no", {"content-length": "2"}),
}


@pytest.mark.parametrize(("status", "data", "headers"), SHORT.values(), ids=SHORT)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_short_way_frames_as_the_long_one(status, data, headers, method):
    """One call, the same answer."""
    connection = await served(responding(status, [(b"x", b"1")], data), method=method)
    longer = await served(
        sending(start(status, (b"x", b"1")), body(data)), method=method
    )

    answer = connection.answers(method)[0]
    assert answer.status == status
    assert {k: v for k, v in answer.headers.items() if k != "date"} == headers | {
        "x": "1"
    }
    assert answer.body == (b"" if method == "HEAD" else data)
    assert longer.answers(method)[0].body == answer.body
    assert longer.answers(method)[0].headers.keys() == answer.headers.keys()


async def test_short_way_adds_what_is_ready():
    """Headers that are the same on each answer are not made anew."""
    fixed = FixedHeaders([(b"a", b"1"), (b"b", b"2")])
    connection = await served(responding(200, [], b"", fixed), request() * 2)

    for answer in connection.answers():
        assert (answer.headers["a"], answer.headers["b"]) == ("1", "2")


@pytest.mark.parametrize(
    "pair", [(b"x", b"1\n2"), (b"x y", b"1"), (b"x", b"\0")], ids=["LF", "name", "NUL"]
)
async def test_short_way_with_a_head_that_breaks_gets_500(pair):
    """Nothing of it reaches the client."""
    connection = await served(responding(200, [pair], b"abc"))

    assert [each.status for each in connection.answers()] == [500]


async def test_short_way_answers_once():
    """A second answer is an error of the application."""
    errors = []

    async def app(_scope, _receive, send):
        send.respond(200, [], b"a", None)
        try:
            send.respond(200, [], b"b", None)
        except RuntimeError as error:
            errors.append(error)

    connection = await served(app)

    assert [each.body for each in connection.answers()] == [b"a"]
    assert errors


async def test_receive_after_the_answer_tells_the_end():
    """ASGI: a request that is answered is over for its application."""
    events = []

    async def app(_scope, receive, send):
        events.append(await receive())
        await sending(start(), body())(None, None, send)
        events.append(await receive())

    await served(app, method="POST", body=b"12")

    assert events == [
        {"type": "http.request", "body": b"12", "more_body": False},
        {"type": "http.disconnect"},
    ]


async def test_receive_after_the_body_waits_for_the_end():
    """It comes when the client leaves."""
    events = []

    async def app(_scope, receive, _send):
        events.extend([await receive(), await receive()])

    connection = await served(app)
    assert events == []
    await connection.leave()

    assert [each["type"] for each in events] == ["http.request", "http.disconnect"]


def informing(*headers):
    """Return an application that sends an interim answer first, and one too late."""

    async def app(_scope, _receive, send):
        send.inform(104, headers)
        await send(start())
        await send(body(b"abc"))
        send.inform(104, headers)

    return app


async def test_interim_answer_comes_before_the_answer_and_never_behind_it():
    """Its headers are its own; what is sent too late would be the next one's."""
    connection = await served(informing((b"location", b"/there")))
    interim, _, rest = bytes(connection.transport.written).partition(b"\r\n\r\n")

    assert interim.startswith(b"HTTP/1.1 104 ")
    assert b"location: /there" in interim
    assert rest.startswith(b"HTTP/1.1 200 ")
    assert b" 104 " not in rest


async def test_client_of_http_1_0_gets_no_interim_answer():
    """It would take it for the answer (RFC 9110 §15.2)."""
    connection = await served(informing(), sent=b"GET / HTTP/1.0\r\n\r\n")

    assert b" 104 " not in bytes(connection.transport.written)
    assert bytes(connection.transport.written).startswith(b"HTTP/1.1 200 ")
