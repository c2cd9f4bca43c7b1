"""
Slow clients one by one: which time-out ends which of them, and what each is told.

Each time-out is set to a second, and to more where a client has to keep within it on a
busy machine; `SOON` is how late the end may come there.
"""

import contextlib
import json
import socket
import struct
import time

import pytest

from tests.support.attack import (
    assert_served,
    assert_unharmed,
    attacked,
    closed,
    refused,
)
from tests.support.raw_http import Answer, RawConnection, get, post
from tests.support.scrape import await_value, value

SOON = 60.0
"""Seconds until a client whose time-out is one second is gone; a bound, no measure."""

STEP = 0.2
"""Seconds between two bytes of a client that dribbles."""

IN_FLIGHT = "http_requests_in_flight"


@pytest.fixture(scope="module")
def service():
    """A service with time-outs of a second; idle connections stay a little longer."""
    with timed(seconds=1, idle=2) as running:
        yield running


@pytest.fixture(scope="module")
def patient():
    """A service whose time-outs a client keeps to, though it is held up for seconds."""
    with timed(seconds=4, idle=4) as running:
        yield running


@contextlib.contextmanager
def timed(*, seconds: int, idle: int):
    """Give a service with these time-outs that its clients do no harm to."""
    with attacked(
        server__header_timeout=seconds,
        server__body_timeout=seconds,
        server__body_min_rate=1000,
        server__write_timeout=seconds,
        server__idle_timeout=idle,
    ) as running:
        yield running
        assert_unharmed(running)


def dribble(connection: RawConnection, data: bytes, *, limit: float = SOON) -> None:
    """Send *data* byte by byte until it is sent, the peer answers or *limit* passes."""
    end = time.monotonic() + limit
    for byte in data:
        connection.socket.settimeout(STEP)
        with contextlib.suppress(TimeoutError):
            connection.socket.recv(1, socket.MSG_PEEK)
            return
        if time.monotonic() > end:
            return
        connection.send(bytes([byte]))


def assert_timed_out(service, connection: RawConnection, reason: str, before) -> Answer:
    """The client is told 408 and that it is the end, and it is counted."""
    answer = connection.answer(limit=SOON)
    assert answer.status == 408, answer
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["connection"] == "close"
    assert json.loads(answer.body)["status"] == 408
    assert connection.await_end(SOON)
    await_value(service, refused(reason), before + 1)
    return answer


HEADS = {
    "stalled_line": (b"GET /hel", b""),
    "stalled_head": (b"GET /hello HTTP/1.1\r\nHost: x\r\n", b""),
    "slow_line": (b"GET /", b"a" * 100),
    "slow_head": (b"GET /hello HTTP/1.1\r\nHost: x\r\n", b"X-A: b\r\n" * 100),
    "slow_blank_lines": (b"", b"\r\n" * 100),
}


@pytest.mark.parametrize("name", HEADS)
def test_head_that_does_not_end_is_408(service, name):
    """The time-out is for the whole head: a byte now and then buys nothing."""
    at_once, slowly = HEADS[name]
    before = value(service, refused("header_timeout"))
    with RawConnection(service.ports["httpserver"]) as connection:
        connection.send(at_once)
        dribble(connection, slowly)
        if name == "slow_blank_lines":  # no request has begun: 408 or a silent end
            assert [each.status for each in connection.answers(1)] in ([408], [])
            assert connection.await_end(SOON)
            return
        assert_timed_out(service, connection, "header_timeout", before)


@pytest.mark.parametrize("slowly", [b"", b"A: b\r\n" * 100], ids=["stalled", "slow"])
def test_second_head_that_does_not_end_is_408(service, slowly):
    """A kept-alive connection is no way around the time-out."""
    before = value(service, refused("header_timeout"))
    with RawConnection(service.ports["httpserver"]) as connection:
        connection.send(get())
        assert connection.answer().status == 200
        connection.send(b"GET /hello HTTP/1.1\r\n")
        dribble(connection, slowly)
        assert_timed_out(service, connection, "header_timeout", before)


def test_head_slow_but_in_time_is_served(patient):
    """Pieces are fine as long as the whole comes in time."""
    with RawConnection(patient.ports["httpserver"]) as connection:
        for piece in (b"GET /hel", b"lo HTTP/1.1\r\nHo", b"st: x\r\n", b"\r\n"):
            connection.send(piece)
            time.sleep(0.05)

        assert connection.answer().status == 200


def test_silent_connection_is_closed_silently(service):
    """Who says nothing is told nothing (a balancer's probe, a browser's spare)."""
    with RawConnection(service.ports["httpserver"]) as connection:
        assert connection.await_end(SOON)  # raises on any byte


def test_idle_kept_alive_connection_is_closed_silently(service):
    """The idle time-out ends it without a word."""
    with RawConnection(service.ports["httpserver"]) as connection:
        connection.send(get())
        began = time.monotonic()
        assert connection.answer().status == 200
        assert connection.await_end(SOON)
        assert time.monotonic() - began > 1


def test_idle_connection_within_its_time_is_served_again(patient):
    """Less than the idle time-out between two requests is no reason to close."""
    with RawConnection(patient.ports["httpserver"]) as connection:
        for pause in (1.5, 1.5, 1.5, 0):  # longer than the time-out together
            connection.send(get())
            assert connection.answer().status == 200
            time.sleep(pause)


BODIES = {
    "announced_nothing": (b"Content-Length: 1000000", b"", b""),
    "announced_stalled": (b"Content-Length: 1000000", b"abc", b""),
    "announced_slow": (b"Content-Length: 1000000", b"", b"x" * 100),
    "chunked_nothing": (b"Transfer-Encoding: chunked", b"", b""),
    "chunked_stalled": (b"Transfer-Encoding: chunked", b"5\r\nhel", b""),
    "chunked_slow": (b"Transfer-Encoding: chunked", b"", b"1\r\nx\r\n" * 30),
    "chunked_slow_size": (b"Transfer-Encoding: chunked", b"", b"0" * 100),
    "chunked_no_trailer_end": (b"Transfer-Encoding: chunked", b"0\r\nX: y\r\n", b""),
}


@pytest.mark.parametrize("path", [b"/body", b"/typed/json"])
@pytest.mark.parametrize("name", BODIES)
def test_body_below_the_minimum_rate_is_408(service, name, path):
    """The handler is released, the client told, the connection closed."""
    header, at_once, slowly = BODIES[name]
    before = value(service, refused("body_timeout"))
    with RawConnection(service.ports["httpserver"]) as connection:
        connection.send(post(header, path=path, body=at_once))
        dribble(connection, slowly)
        assert_timed_out(service, connection, "body_timeout", before)
    await_value(service, IN_FLIGHT, 0)


def test_body_slow_at_first_and_fast_enough_is_read(patient):
    """Only the average counts."""
    body = bytes(40_000)
    with RawConnection(patient.ports["httpserver"]) as connection:
        connection.send(post(b"Content-Length: 40000", path=b"/body"))
        for start in range(0, 40_000, 4_000):  # 10 pieces in 5 s: 8 kB/s
            connection.send(body[start : start + 4_000])
            time.sleep(0.5)

        assert json.loads(connection.answer().body) == {"bytes": 40_000}


@pytest.mark.parametrize("header", [b"Content-Length: 1000000", b"X-Nothing: 1"])
def test_unread_body_that_stalls_ends_after_the_answer(service, header):
    """A handler that reads no body does not lend the connection to a slow one."""
    with RawConnection(service.ports["httpserver"]) as connection:
        connection.send(post(header, path=b"/unread"))
        answer = connection.answer(limit=SOON)
        assert answer.status in (200, 408)
        assert connection.await_end(SOON)


@pytest.mark.parametrize(
    "sent",
    [
        post(b"Content-Length: 10", path=b"/unread"),
        get(b"/delay/3") + post(b"Content-Length: 10", path=b"/body"),
    ],
    ids=["small, of a handler that reads none", "behind a busy request"],
)
def test_body_that_never_comes_ends_the_connection_after_the_answer(sent):
    """It is late once, and neither it nor the silent clients beside it may stay."""
    with attacked(server__header_timeout=1, server__body_timeout=1) as running:
        port = running.ports["httpserver"]
        with contextlib.ExitStack() as stack:
            enter = stack.enter_context
            first = enter(RawConnection(port))
            silent = [enter(RawConnection(port)) for _ in range(8)]
            first.send(sent)
            assert first.answer().status == 200
            assert first.await_end(SOON)
            for each in silent:
                assert each.await_end(SOON)
        await_value(running, refused("body_timeout"), 1)
        assert value(running, refused("body_timeout")) == 1
        assert_unharmed(running)


def test_pipeline_that_takes_longer_than_a_head_may_is_answered_whole(service):
    """While the service does not read, the time is not the client's."""
    with RawConnection(service.ports["httpserver"]) as connection:
        connection.send(get(b"/delay/0.15") * 17 + b"GET /hel")
        answers = connection.answers(1)
        connection.send(b"lo HTTP/1.1\r\nHost: x\r\n\r\n")
        answers += connection.answers(17)

    assert [each.status for each in answers] == [200] * 18


def test_reader_that_takes_nothing_is_reset(service):
    """No progress of an answer for the write time-out: the connection is reset."""
    assert_reader_is_reset(service, b"/large")


def test_reader_that_takes_nothing_of_a_stream_is_reset():
    """A stream that waits for its reader alone ends with it."""
    with attacked(server__write_timeout=1) as running:
        assert_reader_is_reset(running, b"/flood")
        assert_unharmed(running)


def assert_reader_is_reset(service, path: bytes) -> None:
    before = value(service, closed("write_timeout"))
    with RawConnection(service.ports["httpserver"], receive_buffer=4096) as connection:
        connection.send(get(path))
        await_value(service, closed("write_timeout"), before + 1)
        await_value(service, IN_FLIGHT, 0)
        assert is_reset(connection)


def is_reset(connection: RawConnection) -> bool:
    """Whether the connection ends by RST, after what the kernel had taken in."""
    end = time.monotonic() + SOON
    while not connection.ended and time.monotonic() < end:
        connection._receive(SOON)
    return connection.reset


def test_reader_that_takes_a_little_now_and_then_is_served(patient):
    """Slow progress is progress."""
    with RawConnection(
        patient.ports["httpserver"], receive_buffer=1 << 20
    ) as connection:
        connection.send(get(b"/large"))
        taken = 0
        for _ in range(20):  # 5 s, longer than the time-out
            connection.socket.settimeout(SOON)
            taken += len(connection.socket.recv(1 << 20))
            time.sleep(0.25)
        while piece := connection.socket.recv(1 << 20):
            taken += len(piece)
            if taken >= 20 << 20:
                break

    assert taken >= 20 << 20


def test_client_that_vanishes_with_a_reset_leaves_nothing(service):
    """RST in the middle of a head, a body and an answer."""
    for sent in (b"GET /he", post(b"Content-Length: 9", body=b"x"), get(b"/stream")):
        connection = RawConnection(service.ports["httpserver"])
        connection.send(sent)
        linger = struct.pack("ii", 1, 0)
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        connection.socket.close()
    await_value(service, IN_FLIGHT, 0)
    assert_served(service, get())


def test_silent_and_idle_ends_are_counted_apart(service):
    """The metric tells a spare connection from one that was used."""
    port = service.ports["httpserver"]
    with RawConnection(port) as silent, RawConnection(port) as idle:
        idle.send(get())
        assert idle.answer().status == 200
        assert silent.await_end(SOON)
        assert idle.await_end(SOON)
    for reason in ("silent", "idle_timeout"):
        await_value(service, closed(reason), 1)


def test_limits_may_be_switched_off():
    """Zero is no limit: a slow client is left alone."""
    with attacked(
        server__header_timeout=0,
        server__body_timeout=0,
        server__write_timeout=0,
        server__idle_timeout=0,
    ) as running:
        with RawConnection(running.ports["httpserver"]) as connection:
            connection.send(b"GET /hello HTTP/1.1\r\n")
            assert not connection.await_end(1.5)
            connection.send(b"Host: x\r\n\r\n")
            assert connection.answer().status == 200
            connection.send(post(b"Content-Length: 5", path=b"/body"))
            assert not connection.await_end(1.5)
            connection.send(b"hello")
            assert connection.answer().status == 200
        assert_unharmed(running)
