"""
From bytes to requests: what the parser tells, checked and made into exchanges.

A subclass says what becomes of them. It is a base class rather than a part of its own
because every request goes through each of its methods: a call more is felt.
"""

import asyncio
import time
from collections import deque
from typing import Any

import httptools

from service.server.exchange import Exchange
from service.server.flow import FlowControlled
from service.server.guard import Guard
from service.server.head_rules import (
    check_head,
    check_sizes,
    too_large,
    with_host,
)
from service.server.kernel_wait import kernel_wait
from service.server.refusals import Refusal
from service.server.targets import BadTarget, parse_target

__all__ = [
    "BODY",
    "BUSY",
    "DEAF",
    "HEAD",
    "HIGH_WATER",
    "IDLE",
    "PIPELINED",
    "RequestReader",
]

HEAD, BODY, BUSY, IDLE, DEAF = range(5)
"""What a connection is waiting for; see `protocol`."""

FRAMING_BYTES, FRAMING_RATIO = 65_536, 8
"""Bytes of a body's transfer that may be framing, and how many more for each byte of
body: a chunk of one byte has five around it."""

HIGH_WATER = 65_536
"""Bytes of body that may wait for the application until reading pauses; a body whose
rest is no more than this is read to its end even when its answer is already given."""

PIPELINED = 16
"""Requests that may wait for their turn on one connection until reading pauses."""

_WATCHED = frozenset({b"host", b"content-length", b"transfer-encoding", b"expect"})


class RequestReader(FlowControlled):
    """
    The reading side of a connection.

    Args:
        loop: The event loop.
        guard: What the connections of the server share.
        app_state: State that each request's scope gets a copy of.
    """

    __slots__ = (
        "_app_state",
        "_body_bytes",
        "_fresh",
        "_header_bytes",
        "_headers",
        "_heard",
        "_hosts",
        "_incoming",
        "_last",
        "_loop",
        "_parser",
        "_phase",
        "_queue",
        "_refusal",
        "_scope",
        "_unparsed",
        "_url",
        "_watched",
        "guard",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        guard: Guard,
        app_state: dict[str, Any],
    ) -> None:
        super().__init__()
        self.guard = guard
        self._loop = loop
        self._app_state = app_state
        self._parser: Any = httptools.HttpRequestParser(self)
        self._scope: dict[str, Any] = {}
        self._phase = HEAD
        self._heard = 0
        self._fresh = True
        self._last = False
        # the request that is being read
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._header_bytes = 0
        self._watched: dict[bytes, bytes] = {}
        self._hosts = 0
        self._incoming: Exchange | None = None
        self._body_bytes = 0
        self._unparsed = 0
        self._refusal: Refusal | None = None
        # those that wait for their answer
        self._queue: deque[Exchange] = deque()

    def refuse(self, refusal: Refusal, exchange: Exchange | None = None) -> None:
        """Answer *refusal*, about *exchange* if there is one, and close."""
        raise NotImplementedError

    def finished(self, exchange: Exchange) -> None:
        """Go on after the answer of *exchange*."""
        raise NotImplementedError

    def proceed(self) -> None:
        """Tell the client to send its body."""
        raise NotImplementedError

    def switched(self, exchange: Exchange) -> None:
        """Give whatever comes from now on to *exchange*, as it comes."""
        raise NotImplementedError

    def closes_after(self, exchange: Exchange) -> bool:
        """Whether the connection ends with the answer of *exchange*."""
        raise NotImplementedError

    def on_message_begin(self) -> None:
        """Start a new request (parser)."""
        if self._phase != HEAD:  # behind another request; line ends begin nothing
            self._phase, self._since, self._heard = HEAD, time.perf_counter(), 1
        self._url = b""
        self._headers = []
        self._header_bytes = 0
        self._hosts = 0
        if self._watched:
            self._watched = {}

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target (parser)."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field (parser)."""
        if self._incoming is not None:
            return  # a trailer, which nobody asked for (RFC 9110 §6.5.1)
        name = name.lower()
        self._header_bytes += len(name) + len(value)
        value = value.rstrip(b" \t")  # the parser leaves them (RFC 9112 §5)
        self._headers.append((name, value))
        if name in _WATCHED:
            self._hosts += name == b"host"
            if name == b"transfer-encoding" and name in self._watched:
                value = self._watched[name] + b", " + value
            self._watched[name] = value

    def on_headers_complete(self) -> None:
        """Check the head and queue its request (parser)."""
        try:
            exchange = self._exchange()
        except Refusal as refusal:
            self._refusal = refusal
            raise
        self._phase, self._body_bytes, self._heard = BODY, 0, 0
        self._since = time.perf_counter()
        if self._parser.should_upgrade():
            # the parser is through with this connection, and we with the client's wish
            self._unparsed = int(self._watched.get(b"content-length", b"0"))
        self._incoming = exchange
        self._queue.append(exchange)
        if len(self._queue) > PIPELINED:
            self._pause_reading()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body (parser)."""
        if self._incoming is not None:
            self._body_bytes += len(body)
            if self._incoming.feed(body) > HIGH_WATER:
                self._pause_reading()

    def on_message_complete(self) -> None:
        """End the request (parser)."""
        if self._unparsed:
            return
        exchange, self._incoming = self._incoming, None
        if exchange is None:
            return
        exchange.body_ended()
        self._phase = BUSY
        if exchange.answered:
            self._go_on()

    def _take_unparsed(self, data: bytes) -> bytes:
        """Take the body of a request for another protocol; return what is behind it."""
        body, rest = data[: self._unparsed], data[self._unparsed :]
        self._unparsed -= len(body)
        if body:
            self.on_body(body)
        if not self._unparsed and self._incoming is not None:
            self.on_message_complete()
        return rest

    def _exchange(self) -> Exchange:
        """
        Return the exchange of the head that was read.

        Raises:
            Refusal: The head breaks a limit or a rule.
        """
        parser = self._parser
        limits = self.guard.limits()
        check_sizes(len(self._url), len(self._headers), self._header_bytes, limits)
        version = parser.get_http_version()
        method = parser.get_method()
        watched = self._watched
        check_head(version, method, self._hosts, watched)
        if parser.should_upgrade() and b"transfer-encoding" in watched:
            raise Refusal(400, "bad_request", "An upgrade can't have a chunked body.")
        try:
            path, raw_path, query, authority = parse_target(self._url)
        except BadTarget as error:
            raise Refusal(400, "bad_target", str(error)) from None
        if authority is not None:
            self._headers = with_host(self._headers, authority)
        scope = self._scope.copy()
        scope["http_version"] = version
        scope["method"] = method.decode("ascii")
        scope["path"] = path
        scope["raw_path"] = raw_path
        scope["query_string"] = query
        scope["headers"] = self._headers
        scope["state"] = self._app_state.copy()
        scope["httpserver.received"] = self._received()
        keep_alive = version == "1.1" and parser.should_keep_alive()
        if not keep_alive:
            self._last = True  # the client sends no more
        return Exchange(
            self,
            scope,
            keep_alive=keep_alive,
            waits_for_continue=version == "1.1"
            and watched.get(b"expect", b"").lower() == b"100-continue",
        )

    def _received(self) -> float:
        """Return when the request was there to be read, for load shedding."""
        began = self.guard.batch_began(self._loop)
        if self._fresh:
            self._fresh = False
            began = min(began, time.perf_counter() - kernel_wait(self.transport))
        return began

    def _bound_head(self) -> None:
        """Refuse a head that is too long although its end has not come."""
        limits = self.guard.limits()
        if len(self._url) > limits.max_target_bytes:
            self.refuse(too_large(414, "target_too_long"))
        elif self._heard > limits.max_target_bytes + limits.max_header_bytes + 1024:
            self.refuse(too_large(431, "headers_too_large"))

    def _bound_framing(self) -> None:
        """Refuse a body that is more framing (extensions, trailers) than body."""
        if self._heard > FRAMING_BYTES + FRAMING_RATIO * self._body_bytes:
            refusal = Refusal(400, "bad_request", "The body is mostly framing.")
            self.refuse(refusal, self._incoming)

    def _method(self, exchange: Exchange | None) -> str:
        """Return the method of *exchange*, or of the head that is no exchange yet."""
        if exchange is not None:
            return str(exchange.scope["method"])
        method: bytes = self._parser.get_method() if self._url else b""
        return method.decode("ascii")

    def _refuse_unreadable(self) -> None:
        """Answer what the parser stopped at: a head, or the body of a request."""
        refusal, self._refusal = self._refusal, None
        if refusal is None:
            refusal = Refusal(400, "bad_request", "The request is malformed.")
        self.refuse(refusal, self._incoming)
