"""An application for a connection in memory, and what is often asked of the two."""

import asyncio

from tests.support.memory_connection import MemoryConnection

__all__ = ["POST", "App", "answer", "bodies", "statuses"]

POST = b"POST / HTTP/1.1\r\nhost: a\r\n"
"""The beginning of a head; the headers of a body are to follow."""


class App:
    """Answers with the path and what it read, when it may."""

    def __init__(self, *, reads: bool = True, waits: bool = False) -> None:
        self.reads = reads
        self.may = asyncio.Event()
        if not waits:
            self.may.set()
        self.scopes: list[dict] = []
        self.events: list[dict] = []

    @property
    def paths(self) -> list[str]:
        return [each["path"] for each in self.scopes]

    async def __call__(self, scope, receive, send) -> None:
        self.scopes.append(scope)
        await self.may.wait()
        body, more = b"", self.reads
        while more:
            event = await receive()
            self.events.append(event)
            body += event.get("body", b"")
            more = event.get("more_body", False)
        await answer(send, scope["path"].encode() + body)


async def answer(send, body: bytes, *, status: int = 200, headers=()) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def bodies(connection: MemoryConnection) -> list[bytes]:
    return [each.body for each in connection.answers()]


def statuses(connection: MemoryConnection) -> list[int]:
    return [each.status for each in connection.answers()]
