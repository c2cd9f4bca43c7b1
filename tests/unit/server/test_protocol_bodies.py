"""Bodies of requests: whole, too early, unwanted, and asked for."""

import time

import pytest

from service.server.request_reader import HIGH_WATER
from tests.support.memory_app import POST, App, bodies, statuses
from tests.support.memory_connection import MemoryConnection, request


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


async def test_body_in_tiny_chunks_costs_as_much_as_its_bytes():
    """40,000 chunks of a byte are taken in one go; the loop must not hang on them."""
    app = App(waits=True)
    connection = MemoryConnection(app)
    chunked = request("/", method="POST", chunks=[b"x"] * 40_000)

    began = time.process_time()
    connection.feed(chunked)
    taken = time.process_time() - began

    assert taken < 4  # it is 0.02 s; each chunk that looks at those before it: 20 s
    app.may.set()
    await connection.settle()
    assert bodies(connection) == [b"/" + b"x" * 40_000]


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
