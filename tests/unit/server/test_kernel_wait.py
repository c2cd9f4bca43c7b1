"""The time that data has spent in the kernel."""

import asyncio
import socket
import sys
import time

import pytest
import uvloop

from service.server.kernel_wait import kernel_wait

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells it")


class Reader(asyncio.Protocol):
    """Notes how long the first data of a connection has waited."""

    def __init__(self):
        self.waited = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.waited.set_result(kernel_wait(self.transport))
        self.transport.close()


@linux_only
@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_data_that_waited_to_be_accepted_tells_how_long(factory):
    """A loop that stood still for 0.2 s learns of it from the kernel."""

    async def main():
        loop = asyncio.get_running_loop()
        protocol = Reader()
        server = await loop.create_server(lambda: protocol, "127.0.0.1", 0)
        with socket.create_connection(server.sockets[0].getsockname()) as client:
            client.sendall(b"x")
            time.sleep(0.2)
            waited = await protocol.waited
        server.close()
        await server.wait_closed()
        return waited

    with asyncio.Runner(loop_factory=factory) as runner:
        assert 0.15 < runner.run(main()) < 10


async def test_transport_without_a_socket_waited_for_nothing():
    """Such as one of a test."""
    assert kernel_wait(asyncio.BaseTransport()) == 0.0
