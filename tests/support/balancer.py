"""
A load balancer of layer 4, as kube-proxy is one: a new connection goes to a random one
of the endpoints listed then, and stays there until one side closes it.
"""

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import AsyncIterator

__all__ = ["Balancer", "balancing"]

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER of zero seconds: closing sends RST, as the real path would pass it on."""


class Balancer:
    """
    A forwarder on the loopback interface.

    Attributes:
        endpoints: Ports that new connections may go to; edit the list at any time.
        port: Where it listens.
    """

    def __init__(self) -> None:
        self.endpoints: list[int] = []
        self.port = 0
        self._connections: set[asyncio.Task[None]] = set()

    def connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Forward a connection both ways until it ends."""
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def close(self) -> None:
        """Drop every connection that is still open."""
        for task in tuple(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writers = [writer]
        try:
            port = random.choice(self.endpoints)
            answers, backend = await asyncio.open_connection("127.0.0.1", port)
            writers.append(backend)
            async with asyncio.TaskGroup() as group:
                group.create_task(_forward(reader, backend))
                group.create_task(_forward(answers, writer))
        except (OSError, ExceptionGroup):
            for each in writers:
                _reset(each)
        finally:
            for each in writers:
                each.close()
            closed = [each.wait_closed() for each in writers]
            await asyncio.gather(*closed, return_exceptions=True)


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()


@contextlib.asynccontextmanager
async def balancing() -> AsyncIterator[Balancer]:
    """Run a balancer until the block ends."""
    balancer = Balancer()
    server = await asyncio.start_server(balancer.connected, "127.0.0.1", 0)
    balancer.port = server.sockets[0].getsockname()[1]
    try:
        yield balancer
    finally:
        server.close()
        await balancer.close()
