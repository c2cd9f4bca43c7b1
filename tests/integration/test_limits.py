"""
The limits of the listener: sizes, versions, bodies, connections; what goes beyond one
is refused early, told as problem+json, closed and counted.
"""

import contextlib
import json
import time
from collections.abc import Iterator

import pytest

from tests.support.attack import (
    assert_served,
    assert_unharmed,
    attacked,
    refusals,
    refused,
)
from tests.support.attacked_service import LARGE
from tests.support.process import ServiceProcess
from tests.support.raw_http import RawConnection, get, post, request
from tests.support.scrape import await_resident, await_value, resident_bytes, value
from tests.support.waiting import until

CHUNKED = b"Transfer-Encoding: chunked"
MIB = 1024 * 1024
GROWTH = 10 * MIB
"""What the resident memory may grow by while a flood of bytes is refused."""


@pytest.fixture(scope="module")
def service():
    """A service with its default limits."""
    with attacked() as running:
        yield running
        assert_unharmed(running)


def assert_refused(service, sent: bytes, status: int, reason: str) -> None:
    """*sent* gets *status*, the end of the connection, and counts for *reason*."""
    before = refusals(service, reason)
    with RawConnection(service.ports["httpserver"]) as connection:
        connection.send(sent)
        answer = connection.answer()
        assert answer.status == status, answer
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["connection"] == "close"
        assert json.loads(answer.body)["status"] == status
        assert connection.await_end()
    await_value(service, refused(reason), before + 1)


def fields(count: int) -> list[bytes]:
    return [b"X-%d: y" % number for number in range(count)]


HEADS = {
    "target_9_kb": (get(b"/hello?" + b"a" * 9_000), 414, "target_too_long"),
    "target_100_kb": (get(b"/" + b"a" * 100_000), 414, "target_too_long"),
    "target_10_mb": (get(b"/" + b"a" * 10_000_000), 414, "target_too_long"),
    "header_33_kb": (get(b"/hello", b"A: " + b"b" * 33_000), 431, "headers_too_large"),
    "name_33_kb": (get(b"/hello", b"A" * 33_000 + b": b"), 431, "headers_too_large"),
    "header_10_mb": (
        get(b"/hello", b"A: " + b"b" * 10_000_000),
        431,
        "headers_too_large",
    ),
    "headers_101": (get(b"/hello", *fields(100)), 431, "too_many_headers"),
    "headers_10000": (get(b"/hello", *fields(10_000)), 431, "headers_too_large"),
    "version_0.9": (request(b"GET / HTTP/0.9", b"Host: x"), 505, "bad_version"),
    "version_2.0": (request(b"GET / HTTP/2.0", b"Host: x"), 505, "bad_version"),
    "no_host": (request(b"GET /hello HTTP/1.1"), 400, "bad_host"),
    "two_hosts": (get(b"/hello", b"Host: localhost"), 400, "bad_host"),
    "junk_host": (request(b"GET /hello HTTP/1.1", b"Host: a b"), 400, "bad_host"),
    "no_header_colon": (get(b"/hello", b"nothing"), 400, "bad_request"),
}


@pytest.mark.parametrize("name", HEADS)
def test_head_beyond_a_limit_is_refused_told_and_counted(service, name):
    """Each limit of a head has its status and its reason."""
    assert_refused(service, *HEADS[name])


@pytest.mark.parametrize(
    "sent",
    [
        get(b"/hello?" + b"a" * 8_000),
        get(b"/hello", b"A: " + b"b" * 30_000),
        get(b"/hello", *fields(90)),
        request(b"GET /hello HTTP/1.0"),
        request(b"GET /hello HTTP/1.1", b"Host: [::1]:8080"),
        request(b"GET /hello HTTP/1.1", b"Host: a_b.example:80"),
    ],
    ids=["target", "header", "headers", "1.0", "ipv6_host", "underscore"],
)
def test_head_within_the_limits_is_served(service, sent):
    """What is a little below each limit, or merely unusual, is served."""
    assert_served(service, sent)


@pytest.mark.parametrize(
    "piece", [b"\r\n", b"G" * 10, b"A: b\r\n"], ids=["crlf", "method", "header"]
)
def test_endless_head_is_ended_early(service, piece):
    """A head that never ends is cut by its size, not by memory or time."""
    memory = resident_bytes(service)
    start = b"" if piece != b"A: b\r\n" else b"GET /hello HTTP/1.1\r\n"
    with RawConnection(service.ports["httpserver"]) as connection:
        assert send_endlessly(connection, start, piece * (65_536 // len(piece)))
    assert resident_bytes(service) - memory < GROWTH
    assert_served(service, get())


def send_endlessly(connection: RawConnection, start: bytes, piece: bytes) -> bool:
    """Send *piece* again and again; return whether the peer had enough of it."""
    end = time.monotonic() + 60
    try:
        connection.socket.sendall(start)
        while time.monotonic() < end:
            connection.socket.sendall(piece)
    except TimeoutError:
        return False  # it is held, not ended
    except OSError:
        return True
    return False


# -- bodies ------------------------------------------------------------------


def too_large(service, route: str) -> float:
    labels = f'method="POST",route="{route}",status="413"'
    return value(service, f"http_requests_total{{{labels}}}")


@pytest.mark.parametrize("path", ["/body", "/echo", "/typed/json"])
def test_announced_body_above_the_limit_is_413_before_it_is_sent(service, path):
    """The length alone is enough: no 100-continue, no waiting for bytes."""
    before = too_large(service, path)
    with RawConnection(service.ports["httpserver"]) as connection:
        headers = (b"Content-Length: 2000000", b"Expect: 100-continue")
        connection.send(post(*headers, path=path.encode()))
        answer = connection.answer()
        assert answer.status == 413, answer
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["connection"] == "close"
        assert connection.await_end()
    until(lambda: too_large(service, path) == before + 1)


@pytest.mark.parametrize("path", [b"/body", b"/echo", b"/typed/json", b"/unread"])
def test_endless_chunked_body_is_413_and_memory_stays_flat(service, path):
    """A body of no announced length is cut at the limit."""
    memory = resident_bytes(service)
    piece = b"10000\r\n" + bytes(65_536) + b"\r\n"
    with RawConnection(service.ports["httpserver"]) as connection:
        assert send_endlessly(connection, post(CHUNKED, path=path), piece)
        answers = connection.answers(2)
        expected = [200] if path == b"/unread" else [413]
        # a reset may overtake the answer on its way to a client that still sends
        assert [each.status for each in answers] in (expected, [])
    assert resident_bytes(service) - memory < GROWTH
    assert_served(service, get())


def test_chunked_body_one_byte_above_the_limit_is_413(service):
    """A client that stops sending in time reads the answer."""
    body = b"100001\r\n" + bytes(MIB + 1) + b"\r\n0\r\n\r\n"
    with RawConnection(service.ports["httpserver"]) as connection:
        connection.send(post(CHUNKED, path=b"/body", body=body))
        answer = connection.answer()
        assert (answer.status, answer.headers["connection"]) == (413, "close")
        assert connection.await_end()


def test_body_of_exactly_the_limit_is_read(service):
    """The limit itself is allowed, announced or chunked."""
    chunked = b"100000\r\n" + bytes(MIB) + b"\r\n0\r\n\r\n"
    with RawConnection(service.ports["httpserver"]) as connection:
        connection.send(post(CHUNKED, path=b"/body", body=chunked))
        first = connection.answer()
        length = b"Content-Length: %d" % MIB
        connection.send(post(length, path=b"/body", body=bytes(MIB)))
        second = connection.answer()

    assert [json.loads(each.body) for each in (first, second)] == [{"bytes": MIB}] * 2


@pytest.mark.parametrize(
    ("path", "size", "status"),
    [(b"/small", 101, 413), (b"/small", 100, 200), (b"/wide", 2 * MIB, 200)],
)
def test_route_has_a_body_limit_of_its_own(service, path, size, status):
    """A route may take less or more than the service's limit, however it comes."""
    announced = post(b"Content-Length: %d" % size, path=path, body=bytes(size))
    chunked = b"%x\r\n" % size + bytes(size) + b"\r\n0\r\n\r\n"
    for sent in (announced, post(CHUNKED, path=path, body=chunked)):
        with RawConnection(service.ports["httpserver"]) as connection:
            connection.send(sent)

            assert connection.answer().status == status


@pytest.mark.parametrize(
    "tail",
    [b"5;" + b"n" * 65_536, b"0\r\n" + b"T: x\r\n" * 10_000],
    ids=["extension", "trailers"],
)
def test_endless_framing_around_a_body_is_cut(service, tail):
    """Chunk extensions and trailers are no way around the limits."""
    memory = resident_bytes(service)
    piece = tail[2:] if tail.startswith(b"5;") else tail[3:]
    with RawConnection(service.ports["httpserver"]) as connection:
        assert send_endlessly(connection, post(CHUNKED, body=tail), piece)
    assert resident_bytes(service) - memory < GROWTH


@pytest.mark.parametrize("path", [b"/delay/2", b"/large", b"/hello"])
def test_endless_second_head_behind_another_request_is_ended(path):
    """Pipelining is no way around the limits of a head, nor is an answer not read."""
    with attacked(server__write_timeout=1) as running:
        memory = resident_bytes(running)
        start = get(path) + b"GET /hello HTTP/1.1\r\n"
        with RawConnection(running.ports["httpserver"]) as connection:
            assert send_endlessly(connection, start, b"A: bbbbbb\r\n" * 6_000)
        await_resident(running, memory + GROWTH + len(LARGE))
        assert_unharmed(running)


@pytest.mark.parametrize("path", [b"/hello", b"/livez", b"/typed/none"])
def test_thousands_of_pipelined_requests_are_each_answered(service, path):
    """Neither the stack nor the memory grows with a pipeline's length."""
    with RawConnection(service.ports["httpserver"]) as connection:
        connection.send(get(path) * 3_000)

        assert len(connection.answers(3_000)) == 3_000


def test_trailers_never_become_headers(service):
    """What comes after a body was not there when the head was judged."""
    trailers = b"Authorization: x\r\nX-Forwarded-For: 8.8.8.8\r\nX-Late: 1\r\n"
    body = b"5\r\nhello\r\n0\r\n" + trailers + b"\r\n"
    with RawConnection(service.ports["httpserver"]) as connection:
        connection.send(post(CHUNKED, body=body))
        answer = json.loads(connection.answer().body)

    assert (answer["text"], set(answer["headers"])) == (
        "hello",
        {"host", "transfer-encoding"},
    )


def test_continue_is_not_sent_to_http_1_0(service):
    """A client of 1.0 does not know interim answers (RFC 9110 §10.1.1)."""
    line = b"POST /body HTTP/1.0"
    headers = (b"Host: x", b"Content-Length: 5", b"Expect: 100-continue")
    with RawConnection(service.ports["httpserver"]) as connection:
        connection.send(request(line, *headers, body=b"hello"))

        assert [each.status for each in connection.answers(2)] == [200]


# -- connections ------------------------------------------------------------


def test_connection_above_the_limit_is_503_and_probes_of_the_admin_port_answer():
    """Idle connections take their places; the surplus is told, and nothing hangs."""
    with full(5) as running:
        for _ in range(3):
            with RawConnection(running.ports["httpserver"]) as surplus:
                surplus.send(get())
                answer = surplus.answer()
                assert (answer.status, answer.headers["connection"]) == (503, "close")
                assert int(answer.headers["retry-after"]) >= 1
                assert surplus.await_end()
        with RawConnection(running.ports["httpserver-admin"]) as admin:
            admin.send(get(b"/readyz"))
            assert admin.answer().status == 200
        await_value(running, refused("too_many_connections"), 3)


@contextlib.contextmanager
def full(most: int) -> Iterator[ServiceProcess]:
    """Run the service with all of its *most* connections taken; it outlives that."""
    with attacked(server__max_connections=most) as running:
        taken = [RawConnection(running.ports["httpserver"]) for _ in range(most)]
        for each in taken:
            each.send(get())
            assert each.answer().status == 200
        yield running
        for each in taken:
            each.socket.close()
        until(lambda: is_served(running))


def is_served(service) -> bool:
    """Whether the service takes one more connection."""
    with RawConnection(service.ports["httpserver"]) as connection:
        connection.send(get())
        return [each.status for each in connection.answers(1)] == [200]


def test_silent_surplus_connections_do_not_pile_up():
    """A connection above the limit that says nothing is ended all the same."""
    with full(3) as running, RawConnection(running.ports["httpserver"]) as surplus:
        assert [each.status for each in surplus.answers(1)] in ([503], [])
        assert surplus.await_end()
