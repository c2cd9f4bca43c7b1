"""What a pool leaves behind of calls that came to nothing."""

import asyncio

import pytest

from service.client.errors import ClientError
from tests.support.upstream import client_of


class Silent:
    """A server that takes what it is sent and says nothing, until it is hung up on."""

    def __init__(self):
        self.asked, self.left = asyncio.Event(), asyncio.Event()

    async def serve(self, reader, writer):
        await reader.read(1)
        self.asked.set()
        await reader.read()
        writer.close()
        self.left.set()


@pytest.mark.parametrize("way", ["cancelled", "timed out"])
async def test_call_that_ends_in_the_handshake_leaves_no_connection(way):
    """Nobody else would close it: the pool holds none that is not ready."""
    silent, steps = Silent(), []

    async def trace(step, _seen):
        steps.append(step)

    seconds = 0.2 if way == "timed out" else 60.0
    server = await asyncio.start_server(silent.serve, "127.0.0.1", 0)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, asyncio.timeout(60):
        settings = {"connect_timeout": seconds, "attempts": 1, "timeout": 60.0}
        client, _ = client_of(None, **settings)
        call = asyncio.create_task(
            client.request("GET", url, extensions={"trace": trace})
        )
        await silent.asked.wait()
        if way == "cancelled":
            call.cancel()
        with pytest.raises((ClientError, asyncio.CancelledError)):
            await call
        await silent.left.wait()
        await client.close()

    assert "connection.start_tls.failed" in steps
