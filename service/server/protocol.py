"""
The HTTP/1.1 listener's protocol: httptools parses, this decides.

Stock uvicorn waits without end for a slow client, takes heads and bodies of any size,
accepts requests without a host and writes a second answer into a broken one. Here each
request is granted a time and a size, and what can't be read is answered once and the
connection ended. It is one class of uvicorn's own kind: `Server` uses it, and so does
stock uvicorn, with `uvicorn.Config(app, http=HttpProtocol)`.

    HEAD   a head is awaited (first request) or half read      header_timeout
    BODY   a body is on its way                                body_min_rate
    BUSY   the application answers                             (its own time limit)
    IDLE   kept alive, nothing has come                        idle_timeout
    DEAF   ending: what still comes is thrown away             LINGER

Source: RFC 9112; nginx (lingering_close, reset_timedout_connection), HAProxy (timeout
http-request), Apache mod_reqtimeout (MinRate).
"""

import asyncio
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, cast

import httptools
from typing_extensions import override

from service.server.exchange import ASGIApp, Exchange
from service.server.guard import Guard
from service.server.head_rules import (
    check_head,
    check_sizes,
    too_large,
    with_host,
)
from service.server.kernel_wait import kernel_wait
from service.server.limits import ConnectionLimits
from service.server.refusals import Refusal
from service.server.scopes import connection_scope
from service.server.targets import BadTarget, parse_target

if TYPE_CHECKING:
    from uvicorn import Config
    from uvicorn.server import ServerState

__all__ = ["HttpProtocol"]

LINGER = 1.0
"""Seconds that a connection stays half open after its last answer, so that a client
that is still sending can read it instead of a reset."""

LINGER_BYTES = 262_144
"""Bytes that are thrown away then; more stays with the client."""

FRAMING_BYTES, FRAMING_RATIO = 65_536, 8
"""Bytes of a body's transfer that may be framing, and how many more for each byte of
body: a chunk of one byte has five around it."""

HIGH_WATER = 65_536
"""Bytes of body that may wait for the application until reading pauses; a body whose
rest is no more than this is read to its end even when its answer is already given."""

PIPELINED = 16
"""Requests that may wait for their turn on one connection until reading pauses."""

_HEAD, _BODY, _BUSY, _IDLE, _DEAF = range(5)

_WATCHED = frozenset({b"host", b"content-length", b"transfer-encoding", b"expect"})
_TOO_MANY = Refusal(
    503,
    "too_many_connections",
    "The server has as many connections as it can hold.",
    b"retry-after: 1",
)

_HEADER_TIMEOUT = Refusal(
    408, "header_timeout", "The head of the request took too long."
)
_BODY_TIMEOUT = Refusal(408, "body_timeout", "The body of the request came too slowly.")


def _begun(
    running: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop
) -> asyncio.Task[None]:
    """Return a task that begins at once, where Python can do that."""
    if sys.version_info >= (3, 12):
        return asyncio.Task(running, loop=loop, eager_start=True)
    return loop.create_task(running)


class HttpProtocol(asyncio.Protocol):
    """
    One connection.

    Args:
        config: uvicorn's configuration, for the application.
        server_state: uvicorn's sets of connections and tasks.
        app_state: State that each request's scope gets a copy of.
        _loop: The event loop.
        guard: What the connections of the server share.
    """

    def __init__(
        self,
        config: "Config",
        server_state: "ServerState",
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        guard: Guard,
    ) -> None:
        self.guard = guard
        guard.share(server_state.connections, server_state.tasks)
        self.transport: asyncio.Transport
        self._app: ASGIApp = config.loaded_app
        self._app_state = app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._scope: dict[str, Any] = {}
        self._phase = _HEAD
        self._since = 0.0
        self._heard = 0
        self._deaf = False
        self._closing = False
        self._fresh = True
        # the request that is being read
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._header_bytes = 0
        self._watched: dict[bytes, bytes] = {}
        self._hosts = 0
        self._incoming: Exchange | None = None
        self._body_bytes = 0
        self._refusal: Refusal | None = None
        # the requests that are answered, one after the other
        self._active: Exchange | None = None
        self._queue: deque[Exchange] = deque()
        # flow control
        self._reading_paused = 0.0
        self._writable: asyncio.Event | None = None
        self._unsent = 0
        self._unsent_since = 0.0

    # -- connection --------------------------------------------------------------

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's
        self.transport = cast("asyncio.Transport", transport)
        self._since = time.perf_counter()
        self.guard.opened(self, self._loop)
        self._scope = connection_scope(self.transport)
        limit = self.guard.limits().max_connections
        if 0 < limit < len(self.guard.connections):
            self.refuse(_TOO_MANY)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.guard.lost(self)
        self._deaf = True
        for exchange in (self._active, self._incoming, *self._queue):
            if exchange is not None and not exchange.answered:
                exchange.leave()
        self._queue.clear()
        self.resume_writing()

    @override
    def eof_received(self) -> None:
        """Take the end of what the client sends for its leave, as uvicorn does."""

    # -- reading -----------------------------------------------------------------

    @override
    def data_received(self, data: bytes) -> None:
        self._heard += len(data)
        if self._deaf:
            if self._heard > LINGER_BYTES:
                self._pause_reading()
            return
        if self._phase == _IDLE:
            self._phase, self._since = _HEAD, time.perf_counter()
            self._heard = len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # answered as a plain request; what follows is another protocol's
            self._deaf = self._closing = True
        except httptools.HttpParserError:
            self._refuse_unreadable()
        else:
            if self._phase == _HEAD:
                self._bound_head()
            elif self._phase == _BODY:
                self._bound_framing()
        if self._active is None and self._queue:
            self._begin_next()

    def on_message_begin(self) -> None:
        """Start a new request (parser)."""
        if self._phase == _BUSY:
            self._phase, self._since, self._heard = _HEAD, time.perf_counter(), 0
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
        self._headers.append((name, value))
        if name in _WATCHED:
            self._hosts += name == b"host"
            self._watched[name] = value

    def on_headers_complete(self) -> None:
        """Check the head and queue its request (parser)."""
        try:
            exchange = self._exchange()
        except Refusal as refusal:
            self._refusal = refusal
            raise
        self._phase, self._body_bytes, self._heard = _BODY, 0, 0
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
        exchange, self._incoming = self._incoming, None
        if exchange is None:
            return
        exchange.body_ended()
        self._phase = _BUSY
        if exchange.answered:
            self._go_on()

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
        return Exchange(
            self,
            scope,
            keep_alive=version == "1.1" and parser.should_keep_alive(),
            waits_for_continue=watched.get(b"expect", b"").lower() == b"100-continue",
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

    def _refuse_unreadable(self) -> None:
        """Answer what the parser stopped at: a head, or the body of a request."""
        refusal, self._refusal = self._refusal, None
        if refusal is None:
            refusal = Refusal(400, "bad_request", "The request is malformed.")
        self.refuse(refusal, self._incoming)

    def refuse(self, refusal: Refusal, exchange: Exchange | None = None) -> None:
        """
        Answer *refusal* and close.

        Answers that are under way come first, and then the connection just ends: a
        request never gets two answers.

        Args:
            refusal: What to answer.
            exchange: The request that it is about; None for one that is no exchange.
        """
        self.guard.observer.refused(refusal.reason)
        self._deaf = self._closing = True
        if exchange is not None and exchange is not self._active:
            self._queue.remove(exchange)
            exchange.leave()
        elif exchange is not None and exchange.begun:
            self.abort()
            return
        elif exchange is not None:
            exchange.leave()
            self._active = None
        if self._active is None and not self._queue:
            self.transport.write(refusal.answer())
            self._linger()

    # -- answering ---------------------------------------------------------------

    def _begin_next(self) -> None:
        """Let the application answer the next request."""
        exchange = self._active = self._queue.popleft()
        if self.guard.drain.active:
            self.guard.observer.drained()
        task = _begun(exchange.run(self._app), self._loop)
        if not task.done():
            exchange.task = task
            self.guard.tasks.add(task)

    def finished(self, exchange: Exchange) -> None:
        """Go on after the answer of *exchange*."""
        self._active = None
        if not exchange.keep_alive:
            self._queue.clear()
            self._end()
        elif exchange is not self._incoming:
            self._go_on()
        else:
            self.resume_reading()  # what is left of the body is thrown away

    def _go_on(self) -> None:
        """Take the next request, once the client has taken the answers so far."""
        if self._active is not None or self._writable is not None:
            return
        if self._queue:
            # it has waited for its own connection, not for the service
            self._queue[0].scope["httpserver.received"] = self._received()
            self._begin_next()
        elif self._closing:
            self._end()
        else:
            self.resume_reading()
            if self._phase == _BUSY:
                self._phase, self._since = _IDLE, time.perf_counter()

    def closes_after(self, exchange: Exchange) -> bool:
        """Whether the connection ends with the answer of *exchange*."""
        if self.guard.drain.active or (self._closing and not self._queue):
            return True
        return exchange.more_body and self._rest_is_large(exchange)

    def _rest_is_large(self, exchange: Exchange) -> bool:
        """Whether the rest of a body that nobody wants is not worth reading."""
        length = self._watched.get(b"content-length")
        if exchange.waits_for_continue or length is None:
            return True
        return int(length) - self._body_bytes > HIGH_WATER

    def _end(self) -> None:
        """Close, in such a way that the client can read its last answer."""
        if self._incoming is not None or self._deaf:
            self._linger()
        else:
            self.transport.close()

    def _linger(self) -> None:
        """Say that nothing more comes, and throw away what still arrives."""
        self._deaf = True
        self._phase, self._since, self._heard = _DEAF, time.perf_counter(), 0
        if self.transport.is_closing():
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.resume_reading()

    def abort(self) -> None:
        """Cut the connection."""
        self._deaf = True
        self.transport.abort()

    # -- flow control ------------------------------------------------------------

    def _pause_reading(self) -> None:
        if not self._reading_paused:
            self._reading_paused = time.perf_counter()
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on; the time of the pause is not the client's."""
        if self._reading_paused and not self.transport.is_closing():
            self._since += time.perf_counter() - self._reading_paused
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

    async def writable(self) -> None:
        """Wait until the client has taken what is on its way."""
        if self._writable is not None:
            await self._writable.wait()

    # -- time-outs and the stop ----------------------------------------------------

    def check(self, now: float, limits: ConnectionLimits) -> None:
        """End what has taken too long by *now*, a `time.perf_counter()` value."""
        if self._stuck(now, limits.write_timeout):
            self.guard.observer.closed("write_timeout")
            self._reset()
        elif self._phase == _IDLE:
            if 0 < limits.idle_timeout < now - self._since:
                self._close_quietly("idle_timeout")
        elif self._phase == _HEAD:
            if 0 < limits.header_timeout < now - self._since:
                self._head_is_late()
        elif self._phase == _BODY:
            if not self._reading_paused and self._is_slow(now, limits):
                self.refuse(_BODY_TIMEOUT, self._incoming)
        elif self._phase == _DEAF and now - self._since > LINGER:
            self.transport.close()

    def _stuck(self, now: float, limit: float) -> bool:
        """Whether the client has taken nothing for too long."""
        unsent = self.transport.get_write_buffer_size()
        if unsent != self._unsent:
            self._unsent, self._unsent_since = unsent, now
        return unsent > 0 and 0 < limit < now - self._unsent_since

    def _head_is_late(self) -> None:
        if self._heard:
            self.refuse(_HEADER_TIMEOUT)
        else:
            self._close_quietly("silent")

    def _is_slow(self, now: float, limits: ConnectionLimits) -> bool:
        seconds = now - self._since
        if not 0 < limits.body_timeout < seconds:
            return False
        return self._body_bytes < limits.body_min_rate * seconds

    def _close_quietly(self, reason: str) -> None:
        self.guard.observer.closed(reason)
        self._linger_over()

    def _linger_over(self) -> None:
        self._deaf = True
        self._phase, self._since = _DEAF, time.perf_counter()
        self.transport.close()

    def _reset(self) -> None:
        """Cut with RST, so that the kernel keeps nothing of what was not taken."""
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            linger = struct.pack("ii", 1, 0)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.abort()

    def shutdown(self) -> None:
        """End when idle, or with the answer that is under way (uvicorn's name)."""
        self._closing = True
        idle = self._phase == _IDLE or (self._phase == _HEAD and not self._heard)
        if idle and self._active is None:
            self._linger_over()
