"""Silent, slow and idle clients: who is late, and what becomes of it."""

import pytest

from tests.support.memory_app import POST, App, bodies, statuses
from tests.support.memory_connection import MemoryConnection, request


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


async def test_line_end_between_requests_leaves_a_connection_idle():
    """Some clients send one behind a body; no request has begun (RFC 9112 §2.2)."""
    connection = MemoryConnection(App())
    await connection.send(request(), b"\r\n")

    await connection.check(70)
    assert not connection.ends
    await connection.send(b"\r\n" + request())
    await connection.check(76)

    assert statuses(connection) == [200, 200]
    assert connection.counts.closings == ["idle_timeout"]


async def test_second_head_that_drips_gets_408():
    """Its time runs from its first byte."""
    connection = MemoryConnection(App())
    await connection.send(request(), b"\r\nG", b"ET / HT")

    await connection.check(9)
    assert not connection.ends
    await connection.check(11)

    assert statuses(connection) == [200, 408]


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
