"""
Clients that hold a server's connections: six kinds, many at once, on one event loop.

Each runs until the server ends its connection and tells how long that took.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable

from tests.support.raw_http import get, post

__all__ = ["KINDS", "attack"]

Client = Callable[[socket.socket], Awaitable[None]]

PAUSE = 0.4
"""Seconds between two bytes of a client that dribbles."""


async def _dribble(sock: socket.socket, start: bytes, piece: bytes) -> None:
    """Send *start*, then *piece* byte by byte until the server ends the connection."""
    loop = asyncio.get_running_loop()
    ending = asyncio.create_task(_read_to_the_end(sock))
    await loop.sock_sendall(sock, start)
    while not ending.done():
        for byte in piece:
            with contextlib.suppress(ConnectionError):
                await loop.sock_sendall(sock, bytes([byte]))
            if (await asyncio.wait([ending], timeout=PAUSE))[0]:
                break
    await ending


async def _read_to_the_end(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    with contextlib.suppress(ConnectionError):
        while await loop.sock_recv(sock, 1 << 16):
            continue


async def slow_head(sock: socket.socket) -> None:
    """Header after header, one byte at a time."""
    await _dribble(sock, b"GET /hello HTTP/1.1\r\nHost: x\r\n", b"X-A: b\r\n")


async def slow_line(sock: socket.socket) -> None:
    """A request line that never ends."""
    await _dribble(sock, b"GET /", b"aaaaaaaa")


async def silent(sock: socket.socket) -> None:
    """Not a byte."""
    await _read_to_the_end(sock)


async def slow_body(sock: socket.socket) -> None:
    """A body of a few bytes a second."""
    await _dribble(sock, post(b"Content-Length: 100000", path=b"/body"), b"xxxxxxxx")


async def stalled_body(sock: socket.socket) -> None:
    """A body that stops after three bytes."""
    body = post(b"Content-Length: 100000", path=b"/body", body=b"abc")
    await asyncio.get_running_loop().sock_sendall(sock, body)
    await _read_to_the_end(sock)


async def stalled_reader(sock: socket.socket) -> None:
    """An answer of 20 MB of which nothing is read."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, get(b"/large"))
    while True:
        # unread data hides an end from recv and select; the error slot shows the reset
        await asyncio.sleep(0.1)
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or _ended(sock):
            return


def _ended(sock: socket.socket) -> bool:
    """Whether the kernel holds the connection as open no more (tcp_info.tcpi_state)."""
    established = 1
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
    return info[0] != established


KINDS: dict[str, Client] = {
    "slow_head": slow_head,
    "slow_line": slow_line,
    "silent": silent,
    "slow_body": slow_body,
    "stalled_body": stalled_body,
    "stalled_reader": stalled_reader,
}


async def attack(port: int, count: int, *, limit: float) -> dict[str, list[float]]:
    """
    Let *count* clients hold connections, all kinds alike, until the server ends them.

    Args:
        port: Where.
        count: How many there are at once.
        limit: Seconds after which a client gives up.

    Returns:
        Seconds each was there, by kind; `inf` for one that had to give up.
    """
    kinds = list(KINDS)
    names = [kinds[number % len(kinds)] for number in range(count)]
    lives = await asyncio.gather(*(_live(port, KINDS[each], limit) for each in names))
    return {
        kind: [life for name, life in zip(names, lives, strict=True) if name == kind]
        for kind in kinds
    }


async def _live(port: int, client: Client, limit: float) -> float:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        began = time.monotonic()
        try:
            await asyncio.wait_for(client(sock), limit)
        except TimeoutError:
            return float("inf")
        except ConnectionError:
            pass
        return time.monotonic() - began
    finally:
        sock.close()
