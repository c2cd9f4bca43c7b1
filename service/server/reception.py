"""
The body of a request on its way from the connection to the application.

The connection feeds what it reads, the application receives when it wants to; what was
not received yet waits here, and `feed` tells how much that is, so that the connection
can stop reading. An application that wants more than there is lets it read on.

Source: https://asgi.readthedocs.io/en/latest/specs/www.html
"""

import asyncio
from typing import Any, Protocol

__all__ = ["BodySource", "Reception"]


class BodySource(Protocol):
    """What a reception needs of its connection."""

    def proceed(self) -> None:
        """Tell the client to send its body."""

    def resume_reading(self) -> None:
        """Read on, since the application wants more."""


class Reception:
    """
    The reading side of an exchange.

    It is a base class rather than a part of its own because every request has one: an
    object more is felt.

    Args:
        connection: Where the body comes from.
        waits_for_continue: Whether the client waits for 100 before it sends the body.

    Attributes:
        more_body: Whether more of the body is to come.
        answered: Whether the whole answer was written.
        begun: Whether its head was written.
        gone: Whether nobody waits for the answer any more.

    Concurrency:
        For the event loop of its connection.
    """

    __slots__ = (
        "_body",
        "_connection",
        "_ended",
        "_event",
        "_more",
        "_waiting",
        "answered",
        "begun",
        "gone",
        "more_body",
        "waits_for_continue",
    )

    _waiting: int  # set by the first piece: most requests have none

    def __init__(self, connection: BodySource, *, waits_for_continue: bool) -> None:
        self.waits_for_continue = waits_for_continue
        self.more_body = True
        self.answered = False
        self.begun = False
        self.gone = False
        self._connection = connection
        self._body = b""
        self._more: list[bytes] = []
        self._ended = False
        self._event: asyncio.Event | None = None

    async def receive(self) -> dict[str, Any]:
        """Return the next piece of the body, or that the client is gone (ASGI)."""
        if self.waits_for_continue and not self.begun and not self.gone:
            self.waits_for_continue = False
            self._connection.proceed()
        while self._waits():
            self._connection.resume_reading()
            if self._waits():  # else it was here already, behind other requests
                await self._changed()
        if self.gone or self.answered:
            return {"type": "http.disconnect"}
        body, self._body = self._body, b""
        if self._more:
            # joined once: piece by piece a large body would be copied many times
            body, self._more = b"".join((body, *self._more)), []
        self._ended = not self.more_body
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    def feed(self, data: bytes) -> int:
        """Take a piece of the body; return the bytes that wait to be received."""
        if self.answered:
            self._body, self._more = b"", []  # nobody will ask for it
            return 0
        if self._body:
            self._more.append(data)
            self._waiting += len(data)  # summed up anew, small pieces took minutes
        else:
            self._body, self._waiting = data, len(data)
        self.wake()
        return self._waiting

    def body_ended(self) -> None:
        """Note that the body is whole."""
        self.more_body = False
        if self._event is not None:
            self._event.set()

    def body_goes_on(self) -> None:
        """Take pieces of a body without an end from now on."""
        self.more_body, self._ended = True, False

    def leave(self) -> None:
        """Note that nobody waits for the answer any more."""
        self.gone = True
        self.wake()

    def wake(self) -> None:
        """Let `receive` look again."""
        if self._event is not None:
            self._event.set()

    def _waits(self) -> bool:
        if self.gone or self.answered:
            return False
        return self._ended or (self.more_body and not self._body)

    async def _changed(self) -> None:
        if self._event is None:
            self._event = asyncio.Event()
        self._event.clear()
        await self._event.wait()
