"""
HTTP as bytes on a socket: what well-behaved client libraries refuse to send, and
answers read strictly by their framing, so that one too many is seen.
"""

import contextlib
import socket
import time
from types import TracebackType
from typing import NamedTuple, Self

__all__ = ["Answer", "Cut", "RawConnection", "get", "post", "request", "split_answer"]

LIMIT = 60.0
"""Seconds that an awaited answer may take."""

HOST = b"Host: localhost\r\n"


class Answer(NamedTuple):
    """One answer, as it came."""

    status: int
    headers: dict[str, str]
    body: bytes


class Cut(Exception):
    """The connection ended in the middle of an answer."""


def request(line: bytes, *headers: bytes, body: bytes = b"") -> bytes:
    """Return a request of exactly this line, these header lines and this body."""
    return b"\r\n".join([line, *headers, b"", b""]) + body


def get(path: bytes = b"/hello", *headers: bytes) -> bytes:
    """Return a GET request."""
    return request(b"GET " + path + b" HTTP/1.1", b"Host: localhost", *headers)


def post(*headers: bytes, body: bytes = b"", path: bytes = b"/echo") -> bytes:
    """Return a POST request; framing headers are the caller's."""
    line = b"POST " + path + b" HTTP/1.1"
    return request(line, b"Host: localhost", *headers, body=body)


def split_answer(
    data: bytes, *, head: bool = False, ended: bool = False
) -> tuple[Answer, int] | None:
    """
    Return the first answer of *data* and where it ends, or None when it is not whole.

    Args:
        data: What was received.
        head: Whether it answers HEAD, so has no body.
        ended: Whether nothing more will come.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    status_line, *lines = data[:end].split(b"\r\n")
    version, _, rest = status_line.partition(b" ")
    assert version == b"HTTP/1.1", f"no status line: {status_line[:80]!r}"
    status = int(rest[:3])
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(b":")
        key = name.decode("latin-1").lower()
        text = value.strip().decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    body = _body(data, end + 4, status, headers, head=head, ended=ended)
    return None if body is None else (Answer(status, headers, body[0]), body[1])


def _body(
    data: bytes, start: int, status: int, headers: dict[str, str], *, head, ended
) -> tuple[bytes, int] | None:
    if head or status < 200 or status in (204, 304):
        return b"", start
    if headers.get("transfer-encoding") == "chunked":
        return _chunks(data, start)
    if "content-length" not in headers:
        return (data[start:], len(data)) if ended else None
    end = start + int(headers["content-length"])
    return (data[start:end], end) if len(data) >= end else None


def _chunks(data: bytes, at: int) -> tuple[bytes, int] | None:
    pieces = []
    while True:
        line = data.find(b"\r\n", at)
        if line < 0:
            return None
        size = int(data[at:line], 16)
        at = line + 2 + size + 2
        if len(data) < at:
            return None
        if size == 0:
            return b"".join(pieces), at
        pieces.append(data[line + 2 : line + 2 + size])


class RawConnection:
    """
    A connection to a port of the loopback interface.

    Args:
        port: Where.
        receive_buffer: Size of the kernel's receive buffer, for a reader that stalls.
    """

    def __init__(self, port: int, *, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(LIMIT)
        self.socket.connect(("127.0.0.1", port))
        self.received = b""
        self.ended = False
        self.reset = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send *data*; a peer that has had enough is no error."""
        with contextlib.suppress(ConnectionError):
            self.socket.sendall(data)

    def answers(
        self, count: int, *, head: bool = False, limit: float = LIMIT
    ) -> list[Answer]:
        """
        Return up to *count* answers: fewer when the connection ends or *limit* passes.

        Raises:
            Cut: The connection ended in the middle of an answer.
        """
        found: list[Answer] = []
        end = time.monotonic() + limit
        while len(found) < count:
            split = split_answer(self.received, head=head, ended=self.ended)
            if split is not None:
                found.append(split[0])
                self.received = self.received[split[1] :]
            elif self.ended:
                if self.received:
                    raise Cut(self.received[:200])
                break
            elif not self._receive(end - time.monotonic()):
                break
        return found

    def answer(self, *, head: bool = False, limit: float = LIMIT) -> Answer:
        """Return the one answer that is awaited."""
        found = self.answers(1, head=head, limit=limit)
        assert found, f"no answer; ended={self.ended} received={self.received[:200]!r}"
        return found[0]

    def await_end(self, limit: float = LIMIT) -> bool:
        """Return whether the peer ended the connection without a further byte."""
        end = time.monotonic() + limit
        while not self.ended and self._receive(end - time.monotonic()):
            continue
        assert not self.received, f"more than was asked for: {self.received[:200]!r}"
        return self.ended

    def _receive(self, seconds: float) -> bool:
        """Take in what comes; return False when nothing came in time."""
        if seconds <= 0:
            return False
        self.socket.settimeout(seconds)
        try:
            data = self.socket.recv(1 << 16)
        except TimeoutError:
            return False
        except ConnectionError:
            data, self.reset = b"", True
        self.ended = not data
        self.received += data
        return True
