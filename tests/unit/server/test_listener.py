"""Servers on real sockets of the loopback interface, several in one process."""

import asyncio
import contextlib

import httpx2
import pytest
import uvloop

from service.errors import StartError
from service.server.listener import Server, ServerThread
from service.server.ports import Ports
from service.server.routes import Route
from tests.support.asgi import application


async def hello(ctx):
    return ctx.write_text("hello")


@contextlib.asynccontextmanager
async def running(server):
    await server.start()
    try:
        yield server
    finally:
        await server.stop(grace=1)


def url(server: Server, index: int = 0) -> str:
    _, host, port = server.endpoints[index]
    return f"http://{host}:{port}"


async def test_several_servers_with_several_ports_share_a_process():
    """Each has its own name, ports and application."""
    first = Server(
        application(Route(path="/first", handler=hello)),
        ports=Ports("first", plain=[0, 0]),
    )
    second = Server(
        application(Route(path="/second", handler=hello)), ports=Ports("second")
    )
    async with running(first), running(second), httpx2.AsyncClient() as http:
        for index in (0, 1):
            assert (await http.get(url(first, index) + "/first")).text == "hello"
        assert (await http.get(url(second) + "/second")).text == "hello"
        assert (await http.get(url(second) + "/first")).status_code == 404


async def test_port_in_use_names_server_and_address():
    """The error says who could not listen where."""
    first = Server(application(), ports=Ports("first"))
    async with running(first):
        port = first.endpoints[0].port
        second = Server(application(), ports=Ports("second", plain=[0, port]))
        with pytest.raises(
            StartError, match=rf"second: can't listen on 127.0.0.1:{port}"
        ):
            second.bind()


async def test_stop_waits_for_a_request_and_counts_none_cut():
    """What is in flight finishes within the grace period."""
    release = asyncio.Event()

    async def slow(ctx):
        await release.wait()
        return ctx.write_text("done")

    server = Server(application(Route(path="/", handler=slow)), ports=Ports("test"))
    await server.start()
    async with httpx2.AsyncClient() as http:
        request = asyncio.create_task(http.get(url(server)))
        while server.in_flight == 0:
            await asyncio.sleep(0.01)
        stop = asyncio.create_task(server.stop(grace=10))
        release.set()
        answer = await request
        cut = await stop

    assert (answer.text, cut) == ("done", 0)


async def test_draining_server_closes_each_connection_after_its_answer():
    """Clients are told to go elsewhere while the listener still accepts."""
    server = Server(application(Route(path="/", handler=hello)), ports=Ports("test"))
    async with running(server), httpx2.AsyncClient() as http:
        assert "connection" not in (await http.get(url(server))).headers
        server.begin_drain()
        answer = await http.get(url(server))

    assert (answer.status_code, answer.headers["connection"]) == (200, "close")


def test_answer_of_a_drain_is_whole_though_more_requests_came():
    """Else what the client has sent unread would cost it what it is about to read."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # the service's
        runner.run(_pipelined_drain())


async def _pipelined_drain():
    body = "x" * 12_000_000

    async def large(ctx):
        return ctx.write_text(body)

    server = Server(application(Route(path="/", handler=large)), ports=Ports("test"))
    async with running(server):
        server.begin_drain()
        _, host, port = server.endpoints[0]
        reader, writer = await asyncio.open_connection(host, port)
        ask = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        writer.write(ask)
        head = await reader.readuntil(b"\r\n\r\n")
        first = await reader.readexactly(len(body) - 3_000_000)
        writer.write(ask)
        await writer.drain()
        rest = await reader.read()
        writer.close()

    assert b"connection: close" in head
    assert len(first) + len(rest) == len(body)


async def test_stop_cuts_what_outlives_the_grace_and_counts_it():
    """A request without an end is cancelled, and told."""
    cancelled = asyncio.Event()

    async def endless(_ctx):
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    server = Server(application(Route(path="/", handler=endless)), ports=Ports("test"))
    await server.start()
    async with httpx2.AsyncClient() as http:
        request = asyncio.create_task(http.get(url(server)))
        while server.in_flight == 0:
            await asyncio.sleep(0.01)
        cut = await server.stop(grace=0.1)
        with pytest.raises(httpx2.HTTPError):
            await request

    assert cut == 1
    assert cancelled.is_set()


async def test_server_on_its_own_thread_answers_another_loop():
    """The thread's loop serves while this one waits for it."""
    thread = ServerThread(
        Server(application(Route(path="/", handler=hello)), ports=Ports("apart"))
    )
    await thread.start()
    async with httpx2.AsyncClient() as http:
        assert (await http.get(url(thread.server))).text == "hello"
    assert await thread.stop(grace=1) == 0
