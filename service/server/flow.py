"""
The flow of bytes on a connection: how fast the client sends is its business, up to a
point; how much waits for it or for the application is ours.
"""

import asyncio
import socket
import struct
import time

from typing_extensions import override

__all__ = ["FlowControlled"]


class FlowControlled(asyncio.Protocol):
    """
    A connection whose reading and writing pause when the other side is too slow.

    Attributes:
        transport: The connection.
        given: Bytes that were given to the transport so far.
    """

    # slots, here and below: more attributes than an instance's dict can share are slow
    __slots__ = (
        "_deaf",
        "_reading_paused",
        "_since",
        "_taken",
        "_taken_at",
        "_unsent",
        "_writable",
        "given",
        "transport",
    )

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.given = 0
        self._since = 0.0
        self._deaf = False
        self._reading_paused = 0.0
        self._writable: asyncio.Event | None = None
        self._unsent = 0
        self._taken = 0
        self._taken_at = 0.0

    def _pause_reading(self) -> None:
        if not self._reading_paused:
            self._reading_paused = time.perf_counter()
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on; the time of the pause is not the client's."""
        if self._reading_paused and not self.transport.is_closing():
            now = time.perf_counter()
            self._since += now - max(self._since, self._reading_paused)
            self._reading_paused = 0.0
            self.transport.resume_reading()

    @override
    def pause_writing(self) -> None:
        self._writable = asyncio.Event()

    @override
    def resume_writing(self) -> None:
        if self._writable is not None:
            self._writable.set()
            self._writable = None
            if not self.transport.is_closing():
                self._go_on()

    def _go_on(self) -> None:
        """Do what had to wait for the client."""
        raise NotImplementedError

    async def writable(self) -> None:
        """Wait until the client has taken what is on its way."""
        if self._writable is not None:
            await self._writable.wait()

    def _stuck(self, now: float, limit: float) -> bool:
        """Whether the client has taken nothing for too long."""
        unsent = self.transport.get_write_buffer_size()
        taken = self.given - unsent
        if not unsent or not self._unsent or taken > self._taken:
            self._taken_at = now
        self._unsent, self._taken = unsent, taken
        return unsent > 0 and 0 < limit < now - self._taken_at

    def _reset(self) -> None:
        """Cut with RST, so that the kernel keeps nothing of what was not taken."""
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            linger = struct.pack("ii", 1, 0)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.abort()

    def abort(self) -> None:
        """Cut the connection."""
        self._deaf = True
        self.transport.abort()
