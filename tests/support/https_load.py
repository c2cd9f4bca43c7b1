"""Clients of a TLS port that never stop asking, and count what fails."""

import asyncio
import contextlib
import ssl

__all__ = ["HttpsLoad", "served_serial"]

REQUEST = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"

PAUSE = 0.005
"""Seconds between a client's requests."""


class HttpsLoad:
    """
    Clients of one port.

    Args:
        port: On 127.0.0.1.
        context: What they connect with.

    Attributes:
        kept: Requests that were answered on kept connections.
        fresh: Requests that were answered on a connection of their own.
        failures: What went wrong, one text each.
    """

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self._port = port
        self._context = context
        self.kept = 0
        self.fresh = 0
        self.failures: list[str] = []

    @property
    def requests(self) -> int:
        return self.kept + self.fresh

    @contextlib.asynccontextmanager
    async def running(self, *, kept: int = 3, fresh: int = 2):
        """Ask on *kept* connections and by *fresh* clients until the block ends."""
        tasks = [asyncio.create_task(self._keep()) for _ in range(kept)]
        tasks += [asyncio.create_task(self._renew()) for _ in range(fresh)]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self) -> None:
        while True:
            try:
                async with _connection(self._port, self._context) as streams:
                    while True:
                        await _ask(*streams)
                        self.kept += 1
                        await asyncio.sleep(PAUSE)
            except (OSError, EOFError, AssertionError) as error:
                self.failures.append(f"kept: {error!r}")

    async def _renew(self) -> None:
        while True:
            try:
                async with _connection(self._port, self._context) as streams:
                    await _ask(*streams)
                    self.fresh += 1
            except (OSError, EOFError, AssertionError) as error:
                self.failures.append(f"fresh: {error!r}")
            await asyncio.sleep(PAUSE)


async def served_serial(port: int, context: ssl.SSLContext) -> str:
    """Return the serial number that a new connection is shown, hexadecimal."""
    async with _connection(port, context) as (_, writer):
        return writer.get_extra_info("peercert")["serialNumber"].lower().lstrip("0")


@contextlib.asynccontextmanager
async def _connection(port: int, context: ssl.SSLContext):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Make one request and read its answer, which should be 200."""
    writer.write(REQUEST)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    assert head.startswith(b"http/1.1 200 "), head
    length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
    await reader.readexactly(int(length))
