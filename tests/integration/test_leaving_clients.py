"""
Clients that leave in the middle of something: no trace in the log, nothing runs on.
"""

import socket
import struct

import pytest

from tests.support.attack import assert_served, assert_unharmed, attacked
from tests.support.raw_http import RawConnection, get, post
from tests.support.scrape import await_value, value
from tests.support.waiting import until

IN_FLIGHT = "http_requests_in_flight"
CHUNKED = b"Transfer-Encoding: chunked"


@pytest.fixture(scope="module")
def service():
    """One service for all who leave."""
    with attacked() as running:
        yield running
        assert_unharmed(running)


def reset(connection: RawConnection) -> None:
    """Leave with RST."""
    linger = struct.pack("ii", 1, 0)
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    connection.socket.close()


def close(connection: RawConnection) -> None:
    """Leave with FIN, or RST where something is unread."""
    connection.socket.close()


LEAVES = {"close": close, "reset": reset}

MIDST = {
    "nothing": b"",
    "line": b"GET /hel",
    "head": b"GET /hello HTTP/1.1\r\nHost: x\r\n",
    "announced": post(b"Content-Length: 1000000", path=b"/body", body=bytes(70_000)),
    "announced_json": post(b"Content-Length: 99", path=b"/json", body=b'{"a"'),
    "announced_typed": post(
        b"Content-Length: 99",
        b"Content-Type: application/json",
        path=b"/typed/model",
        body=b'{"a"',
    ),
    "chunked": post(CHUNKED, path=b"/body", body=b"5\r\nhel"),
    "chunked_typed": post(CHUNKED, path=b"/typed/any", body=b"5\r\nhel"),
    "form": post(
        b"Content-Length: 99",
        b"Content-Type: multipart/form-data; boundary=x",
        body=b"--x\r\nContent",
    ),
    "waiting": get(b"/delay/1"),
    "pipelined": get(b"/delay/1") * 5,
    "large_answer": get(b"/large"),
    "stream": get(b"/stream"),
}


@pytest.mark.parametrize("leave", LEAVES)
@pytest.mark.parametrize("midst", MIDST)
def test_client_that_leaves_is_forgotten(service, midst, leave):
    """Its connection is forgotten, and its request once the handler is done."""
    connections = [RawConnection(service.ports["httpserver"]) for _ in range(5)]
    for connection in connections:
        connection.send(MIDST[midst])
    if "answer" in midst or midst == "stream":
        for connection in connections:
            connection.socket.recv(1000)  # the answer has begun
    for connection in connections:
        LEAVES[leave](connection)
    await_value(service, 'httpserver_connections{server="main"}', 0)
    await_value(service, IN_FLIGHT, 0)
    assert_served(service, get())


@pytest.mark.parametrize(
    "sent",
    [
        get(b"/delay/0.2"),
        get(b"/hello"),
        post(CHUNKED, body=b"5\r\nhello\r\n0\r\n\r\n"),
    ],
    ids=["waiting", "at_once", "body"],
)
def test_half_closed_connection_ends_with_or_without_its_answer(service, sent):
    """A client that closes its side has left, or is answered; it never hangs."""
    with RawConnection(service.ports["httpserver"]) as connection:
        connection.send(sent)
        connection.socket.shutdown(socket.SHUT_WR)
        assert [each.status for each in connection.answers(1)] in ([200], [])
        assert connection.await_end()
    await_value(service, IN_FLIGHT, 0)


def test_clients_that_come_and_go_by_the_hundred_leave_nothing(service):
    """Connections that are opened and left at once, half of them with RST."""
    for number in range(300):
        connection = RawConnection(service.ports["httpserver"])
        connection.send(get(b"/delay/1")[: number % 60])
        (reset if number % 2 else close)(connection)
    await_value(service, 'httpserver_connections{server="main"}', 0)
    await_value(service, IN_FLIGHT, 0)


def test_answer_that_nobody_awaits_is_logged_as_499(service):
    """The access line tells that the client had gone."""
    connection = RawConnection(service.ports["httpserver"])
    connection.send(post(b"Content-Length: 9", path=b"/body", body=b"x"))
    await_value(service, IN_FLIGHT, 1)
    close(connection)
    await_value(service, IN_FLIGHT, 0)
    series = 'http_requests_total{method="POST",route="/body",status="499"}'
    assert value(service, series) >= 1
    until(lambda: any(each.get("status") == 499 for each in service.log))
