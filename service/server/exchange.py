"""
One request and its answer on a connection: the ASGI side of the listener.

Source: https://asgi.readthedocs.io/en/latest/specs/www.html
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Protocol

from service.observability.logging import get_logger
from service.server.guard import Guard
from service.server.heads import FixedHeaders, Head, finished
from service.server.refusals import Refusal

__all__ = ["PIECE", "ASGIApp", "Exchange", "ServerConnection"]

Scope = MutableMapping[str, Any]
ASGIApp = Callable[
    [Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]],
    Awaitable[None],
]

_CLOSE = b"connection: close"
_UPGRADE = b"connection: upgrade"
_CHUNKED = b"transfer-encoding: chunked"
_SWITCHING = 101
_NO_CONTENT = 204
_NOT_MODIFIED = 304
_ODD = frozenset({*range(100, 200), _NO_CONTENT, _NOT_MODIFIED})
"""Statuses whose answers are framed in their own way."""

PIECE = 262_144
"""Bytes of body up to which it is given to the transport in one piece."""

_JOINED = 65_536
"""Bytes of body up to which head and body are joined into one write."""

_FAILED = Refusal(500, "failed", "The service failed.")


class ServerConnection(Protocol):
    """What an exchange needs of its connection."""

    guard: Guard
    transport: asyncio.Transport
    given: int

    def finished(self, exchange: "Exchange") -> None:
        """Go on after the answer of *exchange*."""

    def closes_after(self, exchange: "Exchange") -> bool:
        """Whether the connection ends with the answer of *exchange*."""

    def refuse(self, refusal: Refusal, exchange: "Exchange | None" = None) -> None:
        """Answer *refusal* in place of the application's answer, and close."""

    def proceed(self) -> None:
        """Tell the client to send its body."""

    def resume_reading(self) -> None:
        """Read on, since the application wants more."""

    def abort(self) -> None:
        """Cut the connection."""

    def switched(self, exchange: "Exchange") -> None:
        """Give whatever comes from now on to *exchange*, as it comes."""

    async def writable(self) -> None:
        """Wait until the client has taken what is on its way."""


class Exchange:
    """
    One request and its answer; called, it is the ASGI `send` of its request.

    Args:
        connection: Where it takes place.
        scope: The ASGI scope.
        keep_alive: Whether the connection may go on after it.
        waits_for_continue: Whether the client waits for 100 before it sends the body.

    Attributes:
        more_body: Whether more of the body is to come.
        answered: Whether the whole answer was written.
        begun: Whether its head was written.
        gone: Whether nobody waits for the answer any more.
        task: The application's task.

    Concurrency:
        For the event loop of its connection.
    """

    __slots__ = (
        "_body",
        "_chunked",
        "_connection",
        "_ended",
        "_event",
        "_head",
        "_left",
        "_more",
        "_mute",
        "_status",
        "answered",
        "begun",
        "gone",
        "keep_alive",
        "more_body",
        "scope",
        "task",
        "waits_for_continue",
    )

    def __init__(
        self,
        connection: ServerConnection,
        scope: Scope,
        *,
        keep_alive: bool,
        waits_for_continue: bool,
    ) -> None:
        self.scope = scope
        self.keep_alive = keep_alive
        self.waits_for_continue = waits_for_continue
        self.more_body = True
        self.answered = False
        self.begun = False
        self.gone = False
        self.task: asyncio.Task[None] | None = None
        self._connection = connection
        self._body = b""
        self._more: list[bytes] = []
        self._ended = False
        self._event: asyncio.Event | None = None
        self._head: Head | None = None
        self._status = 0
        self._left: int | None = None
        self._chunked = False
        self._mute = False

    async def __call__(self, message: Any) -> None:
        """
        Send a piece of the answer (ASGI); to a client that is gone it goes nowhere.

        Raises:
            RuntimeError: The message is out of order, or the body not as long as it was
                announced.
            BadHeader: A header that no head can hold.
        """
        kind = message["type"]
        if kind == "http.response.start":
            self.start(message["status"], message.get("headers", ()))
        elif kind == "http.response.body":
            more = message.get("more_body", False)
            body = message.get("body", b"")
            if len(body) > PIECE:
                body = await self._all_but_the_last_piece(body, more=more)
            self.write(body, more=more)
            if self.gone:
                await asyncio.sleep(0)  # else who awaits nothing else never lets go
            elif more:
                await self._connection.writable()
        else:
            msg = f"unexpected message {kind!r}"
            raise RuntimeError(msg)

    async def run(self, app: ASGIApp) -> None:
        """Let *app* answer; what it leaves open is closed."""
        connection = self._connection
        try:
            await app(self.scope, self.receive, self)
        except asyncio.CancelledError:
            if not self.answered:
                connection.abort()
            raise
        except Exception as error:  # noqa: BLE001 - an application may raise anything
            if not self.gone:
                get_logger("httpserver.server").error("app_failed", exc_info=error)
        finally:
            if self.task is not None:
                connection.guard.tasks.discard(self.task)
        if not self.answered and not self.gone:
            self._give_up()

    # -- reading -----------------------------------------------------------------

    async def receive(self) -> dict[str, Any]:
        """Return the next piece of the body, or that the client is gone (ASGI)."""
        if self.waits_for_continue and not self.begun and not self.gone:
            self.waits_for_continue = False
            self._connection.proceed()
        while self._waits():
            self._connection.resume_reading()
            await self._changed()
        if self.gone or self.answered:
            return {"type": "http.disconnect"}
        body, self._body = self._body, b""
        if self._more:
            # joined once: piece by piece a large body would be copied many times
            body, self._more = b"".join((body, *self._more)), []
        self._ended = not self.more_body
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    def _waits(self) -> bool:
        if self.gone or self.answered:
            return False
        return self._ended or (self.more_body and not self._body)

    def feed(self, data: bytes) -> int:
        """Take a piece of the body; return the bytes that wait to be received."""
        if self.answered:
            self._body, self._more = b"", []  # nobody will ask for it
            return 0
        if self._body:
            self._more.append(data)
        else:
            self._body = data
        self.wake()
        return len(self._body) + sum(map(len, self._more))

    def body_ended(self) -> None:
        """Note that the body is whole."""
        self.more_body = False
        if self._event is not None:
            self._event.set()

    def leave(self) -> None:
        """Note that nobody waits for the answer any more."""
        self.gone = True
        self.wake()

    def wake(self) -> None:
        """Let `receive` look again."""
        if self._event is not None:
            self._event.set()

    def abort(self) -> None:
        """Cut the connection without an answer, for a failure on purpose."""
        self._connection.abort()

    async def _changed(self) -> None:
        if self._event is None:
            self._event = asyncio.Event()
        self._event.clear()
        await self._event.wait()

    # -- writing -----------------------------------------------------------------

    async def _all_but_the_last_piece(self, body: bytes, *, more: bool) -> bytes:
        """
        Write *body* as the client takes it, but for the piece that is returned.

        The transport copies what the kernel does not take at once: a large answer would
        be there twice for each slow client.
        """
        head = self._head
        if head is not None and head.length is None and not more and not self.begun:
            self._head = head._replace(length=len(body))
        last = (len(body) - 1) // PIECE * PIECE
        for start in range(0, last, PIECE):
            self.write(body[start : start + PIECE], more=True)
            await self._connection.writable()
        return body[last:]

    def respond(
        self,
        status: int,
        headers: Iterable[tuple[bytes, bytes]],
        body: bytes,
        fixed: FixedHeaders | None,
    ) -> None:
        """
        Send a whole answer: what `send` does in two messages, in one call.

        `start` and `write` would do the same, for 2 of a small request's 50 µs more.

        Args:
            status: Status of the answer.
            headers: Names in lower case, and values.
            body: The body; HEAD sends its length alone.
            fixed: Headers that are ready.

        Raises:
            BadHeader: A header that no head can hold.
        """
        if status in _ODD or self.scope["method"] == "HEAD" or self.gone:
            self.start(status, headers, fixed)
            self.write(body, more=False)
            return
        if self._head is not None:
            raise RuntimeError("the answer has already begun")
        connection = self._connection
        self._head = head = connection.guard.heads.head(status, headers, fixed)
        lines, _, close, block = head
        lines.append(b"content-length: %d" % len(body))
        if close or not self.keep_alive or connection.closes_after(self):
            self.keep_alive = False
            lines.append(_CLOSE)
        data = finished(lines, block, body)
        self.begun = True
        connection.given += len(data)
        connection.transport.write(data)
        self._end()

    def inform(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """
        Send an interim answer at once; one that HTTP/1.0 or nobody would read is none.

        Args:
            status: 102 to 199.
            headers: Names in lower case, and values.

        Raises:
            BadHeader: A header that no head can hold.
        """
        if self.begun or self.gone or self.scope["http_version"] != "1.1":
            return
        head = self._connection.guard.heads.head(status, headers)
        data = finished(head.lines, head.block)
        self._connection.given += len(data)
        self._connection.transport.write(data)

    def start(
        self,
        status: int,
        headers: Iterable[tuple[bytes, bytes]],
        fixed: FixedHeaders | None = None,
    ) -> None:
        """Take the head; it is written with the first piece of the body (ASGI)."""
        if self._head is not None:
            raise RuntimeError("the answer has already begun")
        self._head = self._connection.guard.heads.head(status, headers, fixed)
        self._status = status

    def switch(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """
        Answer 101: from now on the connection is no HTTP. What comes is received as
        pieces of a body without an end, what is sent as pieces of one goes out as it
        is, and the end of it ends the connection.

        Args:
            headers: Names in lower case, and values; `upgrade` is one of them.

        Raises:
            BadHeader: A header that no head can hold.
        """
        if self._head is not None:
            raise RuntimeError("the answer has already begun")
        connection = self._connection
        self._head = head = connection.guard.heads.head(_SWITCHING, headers)
        head.lines.append(_UPGRADE)
        data = finished(head.lines, head.block)
        self.begun, self.keep_alive = True, False
        self.more_body, self._ended = True, False
        connection.given += len(data)
        connection.transport.write(data)
        connection.switched(self)

    def write(self, body: bytes, *, more: bool) -> None:
        """Write a piece of the body, after the head if that is still to come."""
        if self._head is None or self.answered:
            raise RuntimeError("a body without a head, or after its end")
        if self.gone:
            return
        connection = self._connection
        transport = connection.transport
        if self.begun:
            body = self._framed(body, more=more)
            connection.given += len(body)
            transport.write(body)
        else:
            head = self._finished_head(self._head, body, more=more)
            body = self._framed(body, more=more)
            self.begun = True
            connection.given += len(head) + len(body)
            if len(body) <= _JOINED:
                transport.write(head + body)
            else:
                transport.writelines((head, body))
        if not more:
            self._end()

    def _finished_head(self, head: Head, body: bytes, *, more: bool) -> bytes:
        lines, length, close, block = head
        status = self._status
        if length is None and not more and status >= 200:  # noqa: PLR2004 - 1xx has no body
            length = len(body)
        if status == _NO_CONTENT or (status == _NOT_MODIFIED and not length):
            self._left, self._mute = 0, True
        elif length is not None:
            self._left = length
            lines.append(b"content-length: %d" % length)
        elif self.scope["http_version"] == "1.1":
            self._chunked = True
            lines.append(_CHUNKED)
        else:
            close = True  # the end of the connection is the end of the body
        if self.scope["method"] == "HEAD" or status == _NOT_MODIFIED:
            self._left, self._chunked, self._mute = 0, False, True
        if close or self._connection.closes_after(self):
            self.keep_alive = False
        if not self.keep_alive:
            lines.append(_CLOSE)
        return finished(lines, block)

    def _framed(self, body: bytes, *, more: bool) -> bytes:
        """Return *body* as it goes on the wire."""
        if self._mute:
            return b""
        if self._chunked:
            chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            return chunk if more else chunk + b"0\r\n\r\n"
        if self._left is not None:
            self._left -= len(body)
            if self._left < 0:
                raise RuntimeError("the body is longer than announced")
        return body

    def _end(self) -> None:
        if self._left:
            raise RuntimeError("the body is shorter than announced")
        self.answered = True
        if self._event is not None:
            self._event.set()
        self._connection.finished(self)

    def _give_up(self) -> None:
        """End an answer that its application left open."""
        if self.begun:
            self._connection.abort()  # the client must see that it is not whole
        else:
            self._connection.refuse(_FAILED, self)
