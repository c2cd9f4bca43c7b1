"""A connection that stops being HTTP: what comes and goes is passed on as it is."""

import asyncio

import pytest

from service.server.exchange import Exchange
from service.server.protocol import SLICE
from tests.support.memory_connection import MemoryConnection, request

ASK = request("/", "connection: upgrade", "upgrade: echo")


async def echo(scope, receive, send):
    """Switch, and send back what comes, until `bye`."""
    assert isinstance(send, Exchange)
    send.switch([(b"upgrade", b"echo")])
    while (message := await receive())["type"] == "http.request":
        body = message["body"]
        await send({"type": "http.response.body", "body": body, "more_body": True})
        if b"bye" in body:
            send.write(b"", more=False)
            return


def answered(connection) -> bytes:
    """Return what was sent behind the head of the switch."""
    return bytes(connection.transport.written).partition(b"\r\n\r\n")[2]


async def test_bytes_are_passed_on_both_ways_and_the_end_ends_the_connection():
    """What came with the request's head is the first of them."""
    connection = MemoryConnection(echo)

    await connection.send(ASK + b"GET / early")
    await connection.send(b"\r\n\r\n\0")
    await connection.send(b"bye")
    await connection.send(b"late")

    head = bytes(connection.transport.written).partition(b"\r\n\r\n")[0]
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert b"\r\nconnection: upgrade" in head
    assert b"\r\nupgrade: echo" in head
    assert answered(connection) == b"GET / early\r\n\r\n\0bye"
    assert connection.ends


@pytest.mark.parametrize("size", [1000, SLICE, 50_000])
async def test_bytes_before_a_late_switch_are_passed_on_without_a_hole(size):
    """However many come: what is beyond a limit stays with the client until then."""
    may, sent = asyncio.Event(), bytes(range(256)) * 4000

    async def app(scope, receive, send):
        await may.wait()
        await echo(scope, receive, send)

    connection = MemoryConnection(app)
    pieces = [sent[at : at + size] for at in range(0, len(sent), size)]
    await connection.send(ASK, *pieces)
    assert not connection.transport.reading
    assert sum(map(len, connection.transport.waiting)) > len(sent) / 2
    may.set()
    while connection.transport.waiting:
        await connection.settle()
    await connection.settle()

    assert answered(connection) == sent


@pytest.mark.parametrize("cut", [0, 1, 3])
async def test_bytes_behind_the_body_of_the_request_are_passed_on(cut):
    """The body is the request's; what is in the same packet is not."""

    async def app(scope, receive, send):
        message = await receive()
        while message["more_body"]:
            message = await receive()
        await echo(scope, receive, send)

    connection = MemoryConnection(app)
    ask = request("/", "connection: upgrade", "upgrade: echo", body=b"abc")
    head, body = ask[:-3], ask[-3:]

    await connection.send(head + body[:cut], body[cut:] + b"first", b"second")

    assert answered(connection) == b"firstsecond"


async def test_client_that_leaves_ends_it():
    """The application is told."""
    left = []

    async def app(scope, receive, send):
        await echo(scope, receive, send)
        left.append(True)

    connection = MemoryConnection(app)
    await connection.send(ASK)
    await connection.leave()

    assert left == [True]


async def test_client_that_leaves_before_the_switch_is_no_failure():
    """A closed transport takes nothing; the application is told all the same."""
    may, ended = asyncio.Event(), []

    async def app(scope, receive, send):
        await may.wait()
        await echo(scope, receive, send)
        send.write(b"", more=False)
        ended.append(True)

    def write(_data):
        raise RuntimeError("the handler is closed")

    connection = MemoryConnection(app)
    await connection.send(ASK)
    await connection.leave()
    connection.transport.write = write
    may.set()
    await connection.settle()

    assert ended == [True]
    assert not connection.guard.tasks
