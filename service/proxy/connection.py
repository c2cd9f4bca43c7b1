"""
One connection to an upstream: httptools parses the answers, this bounds them.

A client library would hand over an answer that it has taken apart, joined and often
decoded; a proxy wants its bytes, back-pressure on both sides, and to know exactly how
an answer ended, because that decides whether the connection may be used again and
whether the client may take the answer for whole. docs/adr/0007 has the comparison.

    idle ──send──> waiting ──head──> body ──end──> idle, if both sides keep it alive
                      └── time-out, garbage, end of connection: failed, and closed

What comes after the end of an answer is nobody's: it is dropped, and so is the
connection.

Source: RFC 9112 §9.3 (persistence).
"""

import asyncio
from collections import deque
from typing import Any, cast

import httptools
from typing_extensions import override

from service.proxy.answer_head import SWITCHING, AnswerHead, answer_head
from service.proxy.failures import BadAnswer, ClientLeft, Failure, TimedOut, TornOff

__all__ = ["UpstreamConnection"]

HIGH_WATER = 262_144
"""Bytes of body that may wait for the client until reading pauses."""

_NEVER = float("inf")


class UpstreamConnection(asyncio.Protocol):
    """
    A connection to one endpoint, for one exchange after another.

    Args:
        max_head: Largest head of an answer, in bytes.

    Attributes:
        transport: The connection.
        used: Exchanges so far.
        idle_since: When it was laid aside, by the loop's clock.
        due: When the present phase must be over, by the loop's clock.
        phase: Name of the present phase.
        ends_at: When the exchange must be over.
        watched: The ASGI `send` of the request that it works for; one that has become
            `gone` ends the exchange.
        received: Bytes that came in this exchange.
        whole: Whether the answer has come to its end.
        waiting: Bytes of body that wait to be taken.

    Concurrency:
        For one event loop, and one exchange at a time.
    """

    transport: asyncio.Transport

    def __init__(self, *, max_head: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._max_head = max_head
        self._parser: Any = httptools.HttpResponseParser(self)
        self._writable: asyncio.Event | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.used = 0
        self.idle_since = 0.0
        self._lost = False
        self._fresh()
        self.whole = True

    def _fresh(self) -> None:
        """Forget the exchange before."""
        self.due = self.ends_at = _NEVER
        self.phase = "head"
        self.watched: Any = None
        self.received = 0
        self.whole = False
        self._raw = False
        self.went_on = False
        self._mute = self._switches = False
        self._reusable = True
        self._failure: Failure | None = None
        self._head: AnswerHead | None = None
        self._pieces: deque[bytes] = deque()
        self.waiting = 0
        self._paused = False
        self._clear_head()

    def _clear_head(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0

    # -- an exchange ---------------------------------------------------------------

    @property
    def usable(self) -> bool:
        """Whether another request may be sent."""
        return not self._lost and not self.transport.is_closing()

    @property
    def reusable(self) -> bool:
        """Whether the exchange has left the connection fit for the next."""
        clean = self.whole and self._reusable and self._failure is None
        return clean and self.usable and self._writable is None

    @property
    def answered(self) -> bool:
        """Whether the head of the answer is there."""
        return self._head is not None

    @property
    def ready(self) -> bool:
        """Whether `piece` would not wait."""
        return bool(self._pieces) or self.whole or self._failure is not None

    @property
    def torn(self) -> bool:
        """Whether the exchange failed at the end of the connection, before any byte."""
        return isinstance(self._failure, TornOff) and not self.received

    def grant(self, phase: str, seconds: float) -> None:
        """Give the upstream so many seconds for what comes now; 0 for any."""
        self.phase = phase
        self.due = self._loop.time() + seconds if seconds > 0 else _NEVER

    def begin(
        self,
        data: bytes,
        *,
        mute: bool,
        switches: bool,
        ends_at: float,
        watched: object,
    ) -> None:
        """
        Send a request's head, and what there is of its body.

        Args:
            data: What is sent.
            mute: Whether the answer has no body, as that of HEAD.
            switches: Whether the answer may be 101.
            ends_at: When the exchange must be over, by the loop's clock.
            watched: The ASGI `send` of the request that it works for.
        """
        self._fresh()
        self.used += 1
        self._mute, self._switches = mute, switches
        self.ends_at = ends_at
        self.watched = watched
        self.transport.write(data)

    async def send(self, data: bytes) -> None:
        """
        Send a piece of the request's body, and wait until the upstream takes it.

        Raises:
            Failure: The exchange is over.
        """
        if self._failure is not None:
            raise self._failure
        self.transport.write(data)
        while self._writable is not None:
            await self._writable.wait()
        if self._failure is not None:
            raise self._failure

    async def head(self) -> AnswerHead:
        """
        Return the head of the answer, once it is there.

        Raises:
            Failure: It does not come, or nobody is to get it any more.
        """
        while self._head is None:
            if self._failure is not None:
                raise self._failure
            await self._changed()
        if isinstance(self._failure, ClientLeft):
            raise self._failure  # in the same turn of the loop
        return self._head

    async def go_ahead(self, seconds: float) -> None:
        """Wait for `100 Continue`, the final answer, or so many seconds."""
        end = self._loop.time() + seconds
        while self._head is None and self._failure is None and not self.went_on:
            left = end - self._loop.time()
            if left <= 0:
                return
            try:
                async with asyncio.timeout(left):
                    await self._changed()
            except TimeoutError:
                return

    async def piece(self) -> bytes:
        """
        Return the next bytes of the body; nothing at its end.

        Raises:
            Failure: The body is not whole.
        """
        while not self._pieces:
            if self.whole:
                return b""
            if self._failure is not None:
                raise self._failure
            await self._changed()
        return self.taken()

    def taken(self) -> bytes:
        """Return what has come of the body so far."""
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self.waiting = 0
        if self._paused:
            self._paused = False
            self.transport.resume_reading()
        return data

    def lay_aside(self) -> None:
        """Wait for the next exchange: nothing of this one is late any more."""
        self.idle_since = self._loop.time()
        self.due = self.ends_at = _NEVER
        self.watched = None

    def fail(self, failure: Failure) -> None:
        """End the exchange, and the connection with it."""
        if self._failure is None and not self.whole:
            self._failure = failure
        self._reusable = False
        self.transport.abort()
        self._wake()
        self.resume_writing()

    def close(self) -> None:
        """Close the connection."""
        self._reusable = False
        self.transport.abort()

    def check(self, now: float) -> None:
        """Fail what is late by *now*, or what nobody waits for."""
        if getattr(self.watched, "gone", False):
            self.fail(ClientLeft("the client left"))
        elif now > self.due:
            self.fail(TimedOut(self.phase))
        elif now > self.ends_at:
            self.fail(TimedOut("total"))

    async def _changed(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # -- connection ------------------------------------------------------------------

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's
        self.transport = cast("asyncio.Transport", transport)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        if not self.whole and self._failure is None:
            if exc is None and self._head is not None and self._head.until_close:
                self.whole = True
            else:
                self._failure = TornOff(str(exc) if exc else "end of connection")
        self._reusable = False
        self._wake()
        self.resume_writing()

    @override
    def pause_writing(self) -> None:
        self._writable = asyncio.Event()

    @override
    def resume_writing(self) -> None:
        if self._writable is not None:
            self._writable.set()
            self._writable = None

    @override
    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        if self.whole:
            self.close()  # nobody asked
            return
        if self._raw:
            self.on_body(data)
            self._wake()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._switched(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._unreadable(error)
        else:
            if self._head is None and self.received > self._max_head:
                self.fail(BadAnswer("the head is too large"))
        self._wake()

    def _unreadable(self, error: Exception) -> None:
        if self.whole:
            self.close()  # the answer is whole; what follows it is none
        else:
            cause = error.__context__ or error
            self.fail(cause if isinstance(cause, Failure) else BadAnswer(str(cause)))

    def _switched(self, rest: bytes) -> None:
        """Keep what came behind the head: it is of the other protocol."""
        self._raw, self._reusable = True, False
        if rest:
            self._pieces.append(rest)

    # -- parser ----------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Refuse a second answer (parser)."""
        if self.whole:
            raise BadAnswer("more than one answer")
        self._clear_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field (parser); trailers are dropped."""
        if self._head is not None:
            return
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > self._max_head:
            raise BadAnswer("the head is too large")
        # the parser leaves blanks behind a value on it (RFC 9110 §5.5)
        self._headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """Take the head (parser)."""
        status: int = self._parser.get_status_code()
        if status < 200 and status != SWITCHING:  # noqa: PLR2004 - 1xx come before an answer
            self.went_on = self.went_on or status == 100  # noqa: PLR2004 - 100 Continue
            return
        self._head = answer_head(status, self._headers, switches=self._switches)
        self._reusable = bool(self._parser.should_keep_alive())
        if self._mute:
            # the parser can't know that no body follows
            self._parser = httptools.HttpResponseParser(self)
            self.whole = True

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body (parser)."""
        if self.whole:
            raise BadAnswer("more than was announced")
        self._pieces.append(body)
        self.waiting += len(body)
        if self.waiting > HIGH_WATER and not self._paused:
            self._paused = True
            self.transport.pause_reading()

    def on_message_complete(self) -> None:
        """End the answer (parser)."""
        if self._head is not None and self._head.status != SWITCHING:
            self.whole = True
