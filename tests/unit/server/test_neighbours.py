"""What one request must never do to the next on its connection."""

import asyncio
import contextvars

import pytest
from fastapi import BackgroundTasks
from fastapi.responses import Response as FastResponse

from service.server import filters
from service.server.application import Application
from service.server.delivery import deliver
from service.server.guard import Guard
from service.server.request_reader import PIPELINED
from service.server.routes import Route
from service.server.typed_routes import TypedRoutes
from tests.support.memory_connection import MemoryConnection, request

MARK = contextvars.ContextVar("mark", default="none")


def typed_application(limit: float = 30.0) -> tuple[Application, TypedRoutes]:
    app = Application(
        filters=[deliver, filters.time_limit(lambda: limit)], body_limit=lambda: 100
    )
    return app, TypedRoutes(title="t", version="1")


async def test_background_task_beyond_the_limit_costs_the_next_request_nothing():
    """Its answer was given in time; who comes after it is another request."""
    app, typed = typed_application(limit=1.0)
    over = asyncio.Event()

    async def work():
        await asyncio.sleep(1.2)
        over.set()

    @typed.api.get("/background")
    async def background(tasks: BackgroundTasks):
        tasks.add_task(work)
        return "begun"

    async def hello(ctx):
        return ctx.write_text("hello")

    app.add(Route(path="/", handler=hello))
    app.add(*typed.routes())
    connection = MemoryConnection(app)
    await connection.send(request("/background"))
    async with asyncio.timeout(30):
        await over.wait()
    await connection.send(request("/"))

    assert [each.status for each in connection.answers()] == [200, 200]
    assert not connection.transport.aborted


async def test_context_of_a_request_is_not_that_of_the_next():
    """What a handler binds after its answer stays with it."""
    seen = []

    async def app(_scope, _receive, send):
        seen.append(MARK.get())
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 200})
        MARK.set("left behind")
        await send({"type": "http.response.body", "body": b""})

    connection = MemoryConnection(app)
    await connection.send(request() + request() + request())

    assert seen == ["none"] * 3


async def test_pipelined_requests_beyond_a_few_wait_as_bytes():
    """A client can't make the service hold a context for each of thousands."""
    began = asyncio.Event()
    go_on = asyncio.Event()
    count = 0

    async def app(_scope, _receive, send):
        nonlocal count
        count += 1
        began.set()
        await go_on.wait()
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    connection = MemoryConnection(app)
    piece = request("/" + "x" * 100)
    await connection.send(piece * 1500)
    waiting = len(connection.protocol._queue)
    go_on.set()
    async with asyncio.timeout(60):
        while count < 1500:
            await connection.settle()

    assert began.is_set()
    assert PIPELINED < waiting < 200
    assert len(connection.answers()) == 1500


@pytest.mark.parametrize("codings", [("gzip", "chunked"), ("identity", "chunked")])
async def test_transfer_coding_in_two_lines_is_what_it_is_in_one(codings):
    """Only `chunked` alone is taken (RFC 9110 §5.3)."""

    async def app(_scope, _receive, _send):
        raise AssertionError("never asked")

    head = "".join(f"transfer-encoding: {each}\r\n" for each in codings)
    connection = MemoryConnection(app)
    await connection.send(f"POST / HTTP/1.1\r\nhost: a\r\n{head}\r\n0\r\n\r\n".encode())

    assert [each.status for each in connection.answers()] == [400]


async def test_body_of_a_204_is_left_out():
    """A slip of a handler must not cost the client its connection."""
    app, typed = typed_application()

    @typed.api.get("/")
    async def nothing():
        return FastResponse(b"body", status_code=204)

    app.add(*typed.routes())
    connection = MemoryConnection(app)
    await connection.send(request(), request())

    assert [(each.status, each.body) for each in connection.answers()] == [
        (204, b""),
        (204, b""),
    ]


async def test_malformed_head_far_behind_ends_the_connection_after_the_answers():
    """What waits as bytes behind it is never asked for, and nothing hangs."""
    count = 0

    async def app(_scope, _receive, send):
        nonlocal count
        count += 1
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    connection = MemoryConnection(app)
    good = request("/" + "x" * 100)
    await connection.send(good * 20 + b"nonsense\r\n\r\n" + good * 300)
    for _ in range(30):
        await connection.settle()
    await connection.check(5)

    assert count == 20
    assert len(connection.answers()) == 20
    assert connection.transport.closed


async def test_ending_connection_keeps_nothing_of_what_still_comes():
    """After the last answer a client may send on: it is thrown away, not kept."""
    may = asyncio.Event()

    async def app(_scope, _receive, send):
        await may.wait()
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    guard = Guard()
    connection = MemoryConnection(app, guard=guard)
    good = request("/" + "x" * 100)
    await connection.send(good * 400)
    guard.drain.active = True
    may.set()
    await connection.settle()
    connection.protocol.data_received(b"x" * 100_000)

    assert len(connection.answers()) == 1
    assert connection.protocol._backlog == b""
