"""
One request and its answer on a connection: the ASGI side of the listener.

Source: https://asgi.readthedocs.io/en/latest/specs/www.html
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Protocol

from service.observability.logging import get_logger
from service.server.framing import NO_CONTENT, NOT_MODIFIED, Framing
from service.server.guard import Guard
from service.server.heads import FixedHeaders, Head, finished
from service.server.reception import BodySource, Reception
from service.server.refusals import Refusal

__all__ = ["PIECE", "ASGIApp", "Exchange", "ServerConnection"]

Scope = MutableMapping[str, Any]
ASGIApp = Callable[
    [Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]],
    Awaitable[None],
]

_CLOSE = b"connection: close"
_UPGRADE = b"connection: upgrade"
_SWITCHING = 101
_ODD = frozenset({*range(100, 200), NO_CONTENT, NOT_MODIFIED})
"""Statuses whose answers are framed in their own way."""

PIECE = 262_144
"""Bytes of body up to which it is given to the transport in one piece."""

_JOINED = 65_536
"""Bytes of body up to which head and body are joined into one write."""

_FAILED = Refusal(500, "failed", "The service failed.")


class ServerConnection(BodySource, Protocol):
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

    def abort(self) -> None:
        """Cut the connection."""

    def switched(self, exchange: "Exchange") -> None:
        """Give whatever comes from now on to *exchange*, as it comes."""

    async def writable(self) -> None:
        """Wait until the client has taken what is on its way."""


class Exchange(Reception):
    """
    One request and its answer; called, it is the ASGI `send` of its request.

    Args:
        connection: Where it takes place.
        scope: The ASGI scope.
        keep_alive: Whether the connection may go on after it.
        waits_for_continue: Whether the client waits for 100 before it sends the body.

    Attributes:
        task: The application's task.

    Concurrency:
        For the event loop of its connection.
    """

    __slots__ = (
        "_framing",
        "_head",
        "_status",
        "keep_alive",
        "scope",
        "task",
    )

    _connection: ServerConnection

    def __init__(
        self,
        connection: ServerConnection,
        scope: Scope,
        *,
        keep_alive: bool,
        waits_for_continue: bool,
    ) -> None:
        super().__init__(connection, waits_for_continue=waits_for_continue)
        self.scope = scope
        self.keep_alive = keep_alive
        self.task: asyncio.Task[None] | None = None
        self._head: Head | None = None
        self._status = 0
        self._framing: Framing | None = None

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
            if not self.answered and not self.gone:  # one that was refused is told so
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

    def abort(self) -> None:
        """Cut the connection without an answer, for a failure on purpose."""
        self._connection.abort()

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
        self._head = head = self._connection.guard.heads.head(status, headers, fixed)
        self._write_whole(head, body)

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
        if self.gone:
            return  # the application learns it when it receives
        head.lines.append(_UPGRADE)
        data = finished(head.lines, head.block)
        self.begun, self.keep_alive = True, False
        self.body_goes_on()
        connection.given += len(data)
        connection.transport.write(data)
        connection.switched(self)

    def write(self, body: bytes, *, more: bool) -> None:
        """Write a piece of the body, after the head if that is still to come."""
        if self._head is None or self.answered:
            raise RuntimeError("a body without a head, or after its end")
        if self.gone:
            return
        if self.begun:
            self._write_more(body, more=more)
        elif more or len(body) > _JOINED or self._is_odd(self._head, body):
            self._write_first(self._head, body, more=more)
        else:
            self._write_whole(self._head, body)
            return
        if not more:
            self._end()

    def _is_odd(self, head: Head, body: bytes) -> bool:
        """Whether a whole answer is framed by more than the length of its body."""
        if self._status in _ODD or self.scope["method"] == "HEAD":
            return True
        return head.length is not None and head.length != len(body)

    def _write_whole(self, head: Head, body: bytes) -> None:
        """Write head and body at once, and end the answer."""
        connection = self._connection
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

    def _write_first(self, head: Head, body: bytes, *, more: bool) -> None:
        """Write the head and the first piece of the body."""
        length, connection = head.length, self._connection
        if length is None and not more and self._status >= 200:  # noqa: PLR2004 - 1xx has no body
            length = len(body)
        framing = self._framing = Framing(
            self._status,
            length,
            method=self.scope["method"],
            version=self.scope["http_version"],
        )
        start = self._finished_head(head, framing)
        body = framing.piece(body, more=more)
        self.begun = True
        connection.given += len(start) + len(body)
        if len(body) <= _JOINED:
            connection.transport.write(start + body)
        else:
            connection.transport.writelines((start, body))

    def _write_more(self, body: bytes, *, more: bool) -> None:
        """Write a piece of the body behind the one before."""
        if self._framing is not None:
            body = self._framing.piece(body, more=more)
        self._connection.given += len(body)
        self._connection.transport.write(body)

    def _finished_head(self, head: Head, framing: Framing) -> bytes:
        lines, _, close, block = head
        if framing.line:
            lines.append(framing.line)
        if close or framing.closes or self._connection.closes_after(self):
            self.keep_alive = False
        if not self.keep_alive:
            lines.append(_CLOSE)
        return finished(lines, block)

    def _end(self) -> None:
        if self._framing is not None:
            self._framing.check_end()
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
