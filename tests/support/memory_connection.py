"""
A connection of the listener's protocol without a socket.

The transport keeps what is written and hands over what the client sends, as a real one
does: nothing while reading is paused, nothing after it was closed.
"""

import asyncio
import time
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, NamedTuple

from service.server.exchange import ASGIApp
from service.server.guard import Guard
from service.server.limits import Limits
from service.server.protocol import HttpProtocol

__all__ = ["Answer", "MemoryConnection", "MemoryTransport", "read_answers", "request"]

TURNS = 12
"""Turns of the event loop in which whatever is ready happens."""


class Answer(NamedTuple):
    """An answer as a client reads it."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def closes(self) -> bool:
        """Whether it says that the connection ends."""
        return self.headers.get("connection") == "close"


class MemoryTransport(asyncio.Transport):
    """The listener's end of a connection that is a pair of byte strings."""

    def __init__(self) -> None:
        super().__init__()
        self.protocol: HttpProtocol
        self.written = bytearray()
        self.waiting: list[bytes] = []
        self.reading = True
        self.pauses = 0
        self.unsent = 0
        self.ended = self.aborted = self.closed = False

    def write(self, data) -> None:
        if self.ended:
            msg = "write after write_eof"
            raise RuntimeError(msg)
        if not self.closed:
            self.written += data

    def writelines(self, list_of_data) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def pause_reading(self) -> None:
        self.reading = False
        self.pauses += 1

    def resume_reading(self) -> None:
        self.reading = True
        asyncio.get_running_loop().call_soon(self.hand_over)

    def hand_over(self) -> None:
        """Give the protocol what waits for it."""
        while self.waiting and self.reading and not self.closed:
            self.protocol.data_received(self.waiting.pop(0))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            loop = asyncio.get_running_loop()
            loop.call_soon(self.protocol.connection_lost, None)

    def abort(self) -> None:
        self.aborted = True
        self.close()


class Counts:
    """Keeps what the listener counts."""

    def __init__(self) -> None:
        self.open = 0
        self.refusals: list[str] = []
        self.closings: list[str] = []
        self.drains = 0

    def opened(self) -> None:
        self.open += 1

    def lost(self) -> None:
        self.open -= 1

    def refused(self, reason: str) -> None:
        self.refusals.append(reason)

    def closed(self, reason: str) -> None:
        self.closings.append(reason)

    def drained(self) -> None:
        self.drains += 1


class MemoryConnection:
    """
    A client and the protocol that serves it.

    Args:
        app: What answers.
        guard: What it shares with others; None for its own.
        limits: Of its own guard.
    """

    def __init__(
        self, app: ASGIApp, *, guard: Guard | None = None, **limits: Any
    ) -> None:
        self.limits = Limits(**limits)
        self.counts = Counts()
        self.guard = guard or Guard(lambda: self.limits, observer=self.counts)
        self.transport = MemoryTransport()
        state = SimpleNamespace(
            connections=self.guard.connections, tasks=self.guard.tasks
        )
        self.protocol = HttpProtocol(
            SimpleNamespace(loaded_app=app), state, {}, guard=self.guard
        )
        self.transport.protocol = self.protocol
        self.protocol.connection_made(self.transport)

    def feed(self, *pieces: bytes) -> None:
        """Let *pieces* arrive, in this turn of the event loop."""
        self.transport.waiting += pieces
        self.transport.hand_over()

    async def send(self, *pieces: bytes) -> None:
        """Let *pieces* arrive one by one, with all that comes of each."""
        for piece in pieces:
            self.feed(piece)
            await self.settle()

    async def settle(self) -> None:
        """Let happen what is ready to happen."""
        for _ in range(TURNS):
            await asyncio.sleep(0)

    async def leave(self) -> None:
        """Let the client go."""
        self.protocol.eof_received()
        self.transport.close()
        await self.settle()

    async def check(self, seconds: float) -> None:
        """Let the guard look as if *seconds* had gone by."""
        self.protocol.check(time.perf_counter() + seconds, self.limits)
        await self.settle()

    @property
    def ends(self) -> bool:
        """Whether the server has said that nothing more comes."""
        return self.transport.ended or self.transport.closed

    def answers(self, *methods: str) -> list[Answer]:
        """Return what was answered so far to requests of *methods* (GET)."""
        return read_answers(bytes(self.transport.written), methods, ended=self.ends)


def request(
    target: str = "/",
    *headers: str,
    method: str = "GET",
    body: bytes | None = None,
    chunks: Iterable[bytes] | None = None,
    version: str = "1.1",
) -> bytes:
    """Return a request with a host, and a body of known length or in chunks."""
    lines = [f"{method} {target} HTTP/{version}", "host: a", *headers]
    tail = body or b""
    if body is not None:
        lines.append(f"content-length: {len(body)}")
    if chunks is not None:
        lines.append("transfer-encoding: chunked")
        tail = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in chunks)
        tail += b"0\r\n\r\n"
    return "\r\n".join([*lines, "", ""]).encode() + tail


def read_answers(raw: bytes, methods: Iterable[str], *, ended: bool) -> list[Answer]:
    """
    Return the answers in *raw*, strictly read.

    Args:
        raw: All that the server has sent.
        methods: Of the requests; GET for those that are not named.
        ended: Whether the connection has ended, which ends a body without a length.
    """
    answers, left = [], list(methods)
    while raw:
        head, found, raw = raw.partition(b"\r\n\r\n")
        assert found, f"half a head: {head!r}"
        status, headers = _head(head)
        method = left.pop(0) if left and status >= 200 else "GET"
        bodiless = method == "HEAD" or status < 200 or status in (204, 304)
        body, raw = (b"", raw) if bodiless else _body(headers, raw, ended=ended)
        answers.append(Answer(status, headers, body))
    return answers


def _head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    version, status, _ = first.split(" ", 2)
    assert version == "HTTP/1.1"
    pairs = [line.split(": ", 1) for line in lines]
    headers = dict(pairs)
    assert len(headers) == len(pairs), f"a header twice: {head!r}"
    return int(status), headers


def _body(headers: dict[str, str], raw: bytes, *, ended: bool) -> tuple[bytes, bytes]:
    if "content-length" in headers:
        assert "transfer-encoding" not in headers
        length = int(headers["content-length"])
        assert len(raw) >= length, "half a body"
        return raw[:length], raw[length:]
    if headers.get("transfer-encoding") == "chunked":
        return _chunks(raw)
    assert ended, "a body without an end"
    return raw, b""


def _chunks(raw: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        size, found, raw = raw.partition(b"\r\n")
        assert found, "half a chunk"
        length = int(size, 16)
        chunk, end, raw = raw[:length], raw[length : length + 2], raw[length + 2 :]
        assert end == b"\r\n"
        if not length:
            return body, raw
        body += chunk
