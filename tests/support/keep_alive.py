"""
Clients that keep their connection and never retry, and a count of what became of each
request: the strictest users of a service that is being restarted.

A client leaves its connection when the server says `Connection: close`, or closed it
while nothing was under way, as every pooled client does; whatever else goes wrong is
counted. The standard library alone: the file is a program too, for a pod of our own
image inside a cluster (`python -c SOURCE HOST PORT PATH`), which prints its totals as
one line of JSON each second.
"""

import asyncio
import contextlib
import json
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator

__all__ = ["KeepAliveLoad", "keep_alive_load"]

LIMIT = 60.0
"""Seconds a request may take; a time-out is a failure."""


class KeepAliveLoad:
    """
    What came of the requests: answers by status, errors by kind.

    Attributes:
        answers: Requests by outcome: `200`, `503`, `ConnectionResetError`, …
        connections: Connections that were opened.
        told_to_close: Answers that carried `Connection: close`.
        closed_idle: Connections that the server closed without a word while idle.
    """

    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()
        self.connections = 0
        self.told_to_close = 0
        self.closed_idle = 0
        self.running = True

    @property
    def failed(self) -> dict[str, int]:
        return {kind: n for kind, n in self.answers.items() if kind != "200"}

    def totals(self) -> dict[str, object]:
        return {
            "requests": self.answers.total(),
            "failed": self.failed,
            "connections": self.connections,
            "told_to_close": self.told_to_close,
            "closed_idle": self.closed_idle,
        }


class _Client:
    def __init__(self, host: str, port: int, path: str, load: KeepAliveLoad) -> None:
        self._address = host, port
        self._request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        self._load = load
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def run(self, pause: float, ramp: float) -> None:
        await asyncio.sleep(random.uniform(0, ramp))
        try:
            while self._load.running:
                self._load.answers[await self._outcome()] += 1
                await asyncio.sleep(random.uniform(0, 2 * pause))
        finally:
            self._leave()

    async def _outcome(self) -> str:
        try:
            async with asyncio.timeout(LIMIT):
                return await self._exchange()
        except (OSError, EOFError, ValueError, KeyError) as error:
            self._leave()
            return type(error).__name__

    async def _exchange(self) -> str:
        reader, writer = await self._connection()
        writer.write(self._request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status_line, *lines = head.rstrip().split("\r\n")
        pairs = (line.split(":", 1) for line in lines)
        headers = {name.lower(): value.strip() for name, value in pairs}
        await reader.readexactly(int(headers["content-length"]))
        if headers.get("connection") == "close":
            self._load.told_to_close += 1
            self._leave()
        return status_line.split(" ")[1]

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._reader is not None and self._reader.at_eof():
            self._load.closed_idle += 1
            self._leave()
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(*self._address)
            self._load.connections += 1
        return self._reader, self._writer

    def _leave(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


@contextlib.asynccontextmanager
async def keep_alive_load(
    host: str,
    port: int,
    path: str,
    *,
    clients: int = 24,
    pause: float = 0.06,
    ramp: float = 0.0,
) -> AsyncIterator[KeepAliveLoad]:
    """
    Send requests while the block runs; each client waits for its answer.

    Args:
        pause: Seconds between answer and next request on average, 0 to twice as long.
        ramp: Seconds over which the clients begin.
    """
    load = KeepAliveLoad()
    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(_Client(host, port, path, load).run(pause, ramp))
        try:
            yield load
        finally:
            load.running = False


async def _report(host: str, port: str, path: str) -> None:
    async with keep_alive_load(host, int(port), path) as load:
        while True:
            await asyncio.sleep(1)
            print(json.dumps(load.totals()), flush=True)  # noqa: T201 - its output


if __name__ == "__main__":
    asyncio.run(_report(*sys.argv[1:]))
