"""Many requests at once, or a client that takes no answer: order and back-pressure."""

import asyncio

import pytest

from service.server.protocol import SLICE
from service.server.request_reader import PIPELINED
from tests.support.memory_app import POST, App, answer, bodies, statuses
from tests.support.memory_connection import MemoryConnection, request

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


@pytest.mark.parametrize("reads", [True, False], ids=["read", "not wanted"])
@pytest.mark.parametrize("how", ["length", "chunks"])
async def test_body_behind_many_requests_comes_whole(reads, how):
    """What was put off while too many waited is read as soon as it is awaited."""
    connection = MemoryConnection(App(reads=reads))
    body = b"x" * (SLICE * 2)
    sent = {"body": body} if how == "length" else {"chunks": [body]}
    post = request("/b", method="POST", **sent)

    await connection.send(request("/a") * (PIPELINED + 4) + post + request("/c"))
    while connection.guard.tasks:
        await connection.settle()

    expected = [b"/b" + body * reads, b"/c"] if reads or how == "length" else [b"/b"]
    assert bodies(connection) == [*[b"/a"] * (PIPELINED + 4), *expected]


async def test_answer_that_waits_for_the_client_to_leave_reads_no_more_requests():
    """A stream watches for the end of its client, who may go on to ask meanwhile."""

    async def app(_scope, receive, send):
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (await receive())["type"] != "http.disconnect":
            pass

    connection = MemoryConnection(app)
    await connection.send(request("/a") * 1000)

    await connection.send(*[request("/b") * 1000] * 20)

    assert len(connection.transport.waiting) == 20
    await connection.check(11)
    assert not connection.ends
    await connection.leave()


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
