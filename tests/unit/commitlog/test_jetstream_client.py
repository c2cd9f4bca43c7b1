"""The client of NATS beside servers that fail it: it leaves nothing open."""

import asyncio
import contextlib
import json

import pytest
import uvloop

from service.commitlog import jetstream_client
from service.commitlog.jetstream_client import NatsClient
from service.commitlog.jetstream_connection import Connection
from service.commitlog.jetstream_options import JetStreamOptions
from service.concurrency.cancelling import cancelled

INFO = b"INFO " + json.dumps({"version": "2.11.0", "headers": True}).encode() + b"\r\n"
_GREETINGS = {True: INFO, False: b"who is there?\r\n", None: b""}


class Nats:
    """
    A server that speaks just enough of NATS to one client after the other.

    Attributes:
        url: Where it is.
        well: Whether it greets new ones as it should; with False it says what they do
            not know, with None nothing.
        reads: While it is clear, nothing is read but the greeting.
        taken: Connections so far.
        open: Those that their client has not closed yet.
    """

    def __init__(self):
        self.well = True
        self.taken = self.open = 0
        self.writers = []
        self.changed = asyncio.Condition()
        self.reads = asyncio.Event()
        self.reads.set()

    async def serve(self, reader, writer):
        self.writers.append(writer)
        await self.count(taken=1)
        try:
            # the end of the connection, or of the line that it was in
            with contextlib.suppress(ConnectionError, ValueError):
                writer.write(_GREETINGS[self.well])
                while line := await reader.readline():
                    if line == b"PING\r\n":
                        writer.write(b"PONG\r\n")
                        await self.reads.wait()
        finally:
            writer.close()
            await self.count(taken=0, left=1)

    async def count(self, *, taken, left=0):
        async with self.changed:
            self.taken += taken
            self.open += taken - left
            self.changed.notify_all()

    async def until(self, met):
        async with self.changed, asyncio.timeout(30):
            await self.changed.wait_for(met)


@pytest.fixture
async def server():
    """Serve on a free port; at the end no connection may be left."""
    nats = Nats()
    server = await asyncio.start_server(nats.serve, "127.0.0.1", 0)
    nats.url = f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield nats
        await nats.until(lambda: nats.open == 0)


async def test_tries_that_failed_leave_no_connection_open(server):
    """A server that hangs for an hour would get thousands of them."""
    connection = await Connection.open(JetStreamOptions(servers=(server.url,)))
    server.well = False
    server.writers[0].close()
    await server.until(lambda: server.taken == 7)
    left = server.open
    await connection.close()

    assert left <= 2  # the one just made, and the one before if it is not read yet


async def test_opening_that_is_cancelled_leaves_no_connection_open(server):
    """Whoever waits for a server that says nothing may give up."""
    server.well = None
    opening = asyncio.create_task(
        Connection.open(JetStreamOptions(servers=(server.url,)))
    )
    await server.until(lambda: server.open == 1)
    await cancelled([opening])

    await server.until(lambda: server.open == 0)
    assert opening.cancelled()


@pytest.fixture
async def flooded(server):
    """Make clients that have more to send than a server that hangs will ever take."""
    clients = []

    async def made(*, ping_interval):
        client = NatsClient()
        clients.append(client)
        # publishing waits where more is pending
        options = {"pending_size": 64_000_000, "reconnect_time_wait": 0.01}
        await client.connect(server.url, ping_interval=ping_interval, **options)
        for _ in range(24):
            await client.publish("x", bytes(1_000_000))
        return client

    server.reads.clear()
    yield made
    for client in clients:
        await client.close()
    server.reads.set()


async def test_server_that_takes_nothing_is_left_for_another(server, flooded):
    """What it does not take is sent again by those who wait for an answer."""
    client = await flooded(ping_interval=0.1)
    await server.until(lambda: server.taken > 1)

    assert not client.is_closed


async def test_close_waits_for_no_server_that_takes_nothing(monkeypatch, flooded):
    """Else the service would not stop."""
    monkeypatch.setattr(jetstream_client, "_SENDING", 0.1)
    client = await flooded(ping_interval=60)
    async with asyncio.timeout(30):
        await client.close()

    assert client.is_closed


async def test_close_ends_tries_that_lost_a_cancellation(monkeypatch, server):
    """The client would connect again, and nobody would close that connection."""
    monkeypatch.setattr(jetstream_client, "_AGAIN", 0.01)
    lost = []

    async def reconnect():
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if lost:
                    raise
                lost.append(1)

    client = NatsClient()
    await client.connect(server.url)
    client._reconnection_task = task = asyncio.create_task(reconnect())
    await asyncio.sleep(0)
    await client.close()

    assert lost
    assert task.cancelled()
    assert client.is_closed


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_close_with_something_to_send_to_nobody_ends(run):
    """Each event loop has an error of its own for a connection that is gone."""

    async def closed():
        nats = Nats()
        server = await asyncio.start_server(nats.serve, "127.0.0.1", 0)
        client, refused = NatsClient(), asyncio.Event()

        async def note(error):
            if isinstance(error, ConnectionRefusedError):
                refused.set()

        url = f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await client.connect(url, error_cb=note, reconnect_time_wait=0.01)
        server.close()
        nats.writers[0].transport.abort()
        async with asyncio.timeout(30):
            await refused.wait()
        await client.publish("x", b"never heard")
        await client.close()
        return client.is_closed

    assert run(closed())
