"""
A client for large files: one connection, one file after the other, nothing kept.

wrk reads 8 KB at a time, which would measure wrk; this one reads as much as there is
into one buffer, as a program does that writes a file.
"""

import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["connected", "download", "downloads", "upload", "uploads"]

_BUFFER = 1 << 18
_PIECE = memoryview(bytes(range(256)) * 4096)
_LIMIT = 60.0
"""Seconds without a byte until a server is given up."""


def downloads(port: int, path: str, seconds: float) -> tuple[int, float]:
    """Fetch a file again and again; return bytes, and the seconds that they took."""
    with connected(port) as client:
        return _repeated(lambda: download(client, path), seconds)


def uploads(port: int, path: str, size: int, seconds: float) -> tuple[int, float]:
    """Put a file again and again; return bytes, and the seconds that they took."""
    with connected(port) as client:
        return _repeated(lambda: upload(client, path, size), seconds)


def download(client: socket.socket, path: str) -> int:
    """Fetch a file; return its size."""
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
    length, begun = _head(client, 200)
    left, buffer = length - len(begun), bytearray(_BUFFER)
    while left:
        read = client.recv_into(buffer)
        if not read:
            raise ConnectionError(f"{left:,} bytes of {path} did not come")
        left -= read
    return length


def upload(client: socket.socket, path: str, size: int) -> int:
    """Put a file; return its size."""
    head = f"PUT {path} HTTP/1.1\r\nHost: bench\r\nContent-Length: {size}\r\n\r\n"
    client.sendall(head.encode())
    left = size
    while left:
        piece = _PIECE[:left]
        client.sendall(piece)
        left -= len(piece)
    _head(client, 201, 204)
    return size


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    """Give a connection to 127.0.0.1."""
    with socket.create_connection(("127.0.0.1", port), timeout=_LIMIT) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield client


def _repeated(once: Callable[[], int], seconds: float) -> tuple[int, float]:
    """Return the bytes that went, and the seconds that they took."""
    moved, began = 0, time.monotonic()
    while (took := time.monotonic() - began) < seconds:
        moved += once()
    return moved, took


def _head(client: socket.socket, *wanted: int) -> tuple[int, bytes]:
    """Read a head; return the length that it tells, and what came behind it."""
    data = b""
    while b"\r\n\r\n" not in data:
        read = client.recv(_BUFFER)
        if not read:
            raise ConnectionError(f"no whole head came: {data!r}")
        data += read
    head, _, begun = data.partition(b"\r\n\r\n")
    status = int(head.split(maxsplit=2)[1])
    if status not in wanted:
        raise ConnectionError(f"answered {head.decode('latin-1')}")
    found = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return int(found[1]) if found else 0, begun
