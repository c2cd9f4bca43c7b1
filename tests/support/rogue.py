"""Servers on the loopback interface that do to their clients what a test wants."""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import Any

__all__ = ["OK", "Peer", "Rogue", "answering", "behaving", "in_a_thread"]

_LIMIT = 60.0
"""Seconds that a server may take to begin or to end."""

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Peer:
    """
    A client's connection.

    Attributes:
        head: The head of the request that is to be answered.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.head = b""

    @property
    def path(self) -> str:
        return self.head.split(b" ", 2)[1].decode()

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def gone(self) -> None:
        """Return when the client is."""
        while await self.reader.read(65536):
            pass


Behave = Callable[[Peer], Awaitable[None]]
"""Answers one request; what it raises ends the connection."""


class Rogue:
    """
    A running server.

    Attributes:
        port: Where.
        connections: That have been made.
        open: That are open.
        requests: That have come.
    """

    def __init__(self, behave: Behave) -> None:
        self._behave = behave
        self.port = 0
        self.connections = self.open = self.requests = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connections += 1
        self.open += 1
        peer = Peer(reader, writer)
        try:
            while True:
                peer.head = await reader.readuntil(b"\r\n\r\n")
                self.requests += 1
                await self._behave(peer)
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # the end of the connection, or of the test
        finally:
            self.open -= 1
            writer.close()


@contextlib.asynccontextmanager
async def behaving(
    behave: Behave, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Rogue]:
    """Serve until the block ends."""
    rogue = Rogue(behave)
    tasks: set[asyncio.Task[None]] = set()
    writers: list[asyncio.StreamWriter] = []

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        task = asyncio.ensure_future(rogue.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls, backlog=2048)
    rogue.port = server.sockets[0].getsockname()[1]
    try:
        yield rogue
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:
            writer.transport.abort()  # TLS would wait for the client to close its end
        await asyncio.sleep(0)  # until they are closed


@contextlib.contextmanager
def in_a_thread(
    behave: Behave, *, tls: ssl.SSLContext | None = None
) -> Iterator[Rogue]:
    """Serve on a loop of its own, so that a test may wait for processes."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    block = behaving(behave, tls=tls)

    def run(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(_LIMIT)

    try:
        rogue = run(block.__aenter__())
        try:
            yield rogue
        finally:
            run(block.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def answering(*parts: bytes, then_close: bool = False) -> Behave:
    """Return what sends *parts*, each by itself, and maybe hangs up."""

    async def answer(peer: Peer) -> None:
        for part in parts:
            await peer.send(part)
        if then_close:
            raise EOFError

    return answer
