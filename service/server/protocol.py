"""
The HTTP/1.1 listener's protocol: httptools parses, this decides.

Stock uvicorn waits without end for a slow client, takes heads and bodies of any size,
accepts requests without a host and writes a second answer into a broken one. Here each
request is granted a time and a size, and what can't be read is answered once and the
connection ended. It is one class of uvicorn's own kind: `Server` uses it, and so does
stock uvicorn, with `uvicorn.Config(app, http=partial(HttpProtocol, guard=Guard()))`.

    HEAD   a head is awaited (first request) or half read      header_timeout
    BODY   a body is on its way                                body_min_rate
    BUSY   the application answers                             (its own time limit)
    IDLE   kept alive, nothing has come                        idle_timeout
    DEAF   ending: what still comes is thrown away             LINGER

Source: RFC 9112; nginx (lingering_close, reset_timedout_connection), HAProxy (timeout
http-request), Apache mod_reqtimeout (MinRate).
"""

import asyncio
import time
from typing import TYPE_CHECKING, Any, cast

import httptools
from typing_extensions import override

from service.server.answering import RequestAnswerer
from service.server.exchange import Exchange
from service.server.guard import Guard
from service.server.limits import ConnectionLimits
from service.server.refusals import Refusal
from service.server.request_reader import (
    BODY,
    BUSY,
    DEAF,
    HEAD,
    HIGH_WATER,
    IDLE,
    PIPELINED,
)
from service.server.scopes import connection_scope

if TYPE_CHECKING:
    from uvicorn import Config
    from uvicorn.server import ServerState

__all__ = ["HttpProtocol"]

LINGER = 1.0
"""Seconds that a connection stays half open after its last answer was taken, so that a
client that is still sending can read it instead of a reset."""

SLICE = 16_384
"""Bytes that are read at once; between slices is seen how many requests wait."""

LINGER_BYTES = 262_144
"""Bytes that are thrown away then; more stays with the client."""

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


class HttpProtocol(RequestAnswerer):
    """
    One connection.

    Args:
        config: uvicorn's configuration, for the application.
        server_state: uvicorn's sets of connections and tasks.
        app_state: State that each request's scope gets a copy of.
        _loop: The event loop.
        guard: What the connections of the server share.
    """

    __slots__ = ("_early", "_switched")

    def __init__(
        self,
        config: "Config",
        server_state: "ServerState",
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        guard: Guard,
    ) -> None:
        loop = _loop or asyncio.get_running_loop()
        super().__init__(config.loaded_app, loop=loop, guard=guard, app_state=app_state)
        guard.share(server_state.connections, server_state.tasks)
        self._early = b""
        self._switched: Exchange | None = None

    # -- connection --------------------------------------------------------------

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's
        self.transport = cast("asyncio.Transport", transport)
        self._since = time.perf_counter()
        self.guard.opened(self, self._loop)
        self._scope = connection_scope(self.transport)
        self._closing = self.guard.leaving
        limit = self.guard.limits().max_connections
        if 0 < limit < len(self.guard.connections):
            self.refuse(_TOO_MANY)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.guard.lost(self)
        self._deaf = True
        for exchange in (self._active, self._incoming):
            if exchange is not None and not exchange.answered:
                exchange.leave()
        self._drop_queue()
        self.resume_writing()
        # each points back here: without them nothing waits for the garbage collector
        self._parser = self._active = self._incoming = self._switched = None

    @override
    def eof_received(self) -> None:
        """Take the end of what the client sends for its leave, as uvicorn does."""

    # -- reading -----------------------------------------------------------------

    @override
    def data_received(self, data: bytes) -> None:
        if self._backlog:
            self._backlog += data
        elif len(data) <= SLICE:
            self._feed(data)
        else:
            self._feed_slices(data)
        if self._active is None and self._queue:
            self._begin_next()

    def _feed_slices(self, data: bytes) -> None:
        """Read until enough requests wait; keep the rest as bytes, which take less."""
        for start in range(0, len(data), SLICE):
            self._feed(data[start : start + SLICE])
            if len(self._queue) > PIPELINED:
                self._backlog = data[start + SLICE :]
                self._pause_reading()
                return

    def _feed(self, data: bytes) -> None:
        """Let the parser read *data*."""
        self._heard += len(data)
        if self._deaf:
            self._overhear(data)
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # answered as a plain request, or with a switch; what follows is another
            # protocol's
            self._deaf = self._closing = True
            self._early = self._take_unparsed(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse_unreadable()
        else:
            if self._phase == HEAD:
                self._bound_head()
            elif self._phase == BODY:
                self._bound_framing()

    def _overhear(self, data: bytes) -> None:
        """Throw *data* away, unless it is what the parser does not take."""
        if self._switched is not None:
            if self._switched.feed(data) > HIGH_WATER:
                self._pause_reading()
        elif self._unparsed and self._phase == BODY:
            self._early = self._take_unparsed(data)
        else:
            if self._phase == BUSY:
                self._early += data  # of another protocol, if the answer is a switch
            if self._heard > LINGER_BYTES:
                self._pause_reading()

    @override
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
        answered = exchange is not None and exchange.answered
        if exchange is not None and not answered and not self._given_up(exchange):
            return
        if self._active is None and not self._queue:
            if not answered:
                bodiless = self._method(exchange) == "HEAD"
                self.transport.write(refusal.answer(bodiless=bodiless))
            self._linger()
        else:
            self._phase = BUSY  # nothing more is read, so nothing can be late

    @override
    def switched(self, exchange: Exchange) -> None:
        """Give whatever comes from now on to *exchange*, as it comes."""
        self._incoming = self._switched = exchange
        self._phase = BUSY
        early, self._early = self._early, b""
        if early:
            exchange.feed(early)

    @override
    def _end(self) -> None:
        """Close, in such a way that the client can read its last answer."""
        if self._incoming is not None or self._deaf or self._may_send():
            self._linger()
        else:
            self.transport.close()

    def _may_send(self) -> bool:
        """
        Whether the client may be sending requests that are not read any more.

        A socket that is closed with bytes unread is reset, and what was still to be
        sent is lost (RFC 9112 §9.6); TLS reads on until both sides have ended it.
        """
        return not self._last and self.transport.can_write_eof()

    def _linger(self) -> None:
        """Say that nothing more comes, and throw away what still arrives."""
        self._hear_no_more()
        if self.transport.is_closing():
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.resume_reading()

    # -- time-outs and the stop ----------------------------------------------------

    def check(self, now: float, limits: ConnectionLimits) -> None:
        """End what has taken too long by *now*, a `time.perf_counter()` value."""
        if self._stuck(now, limits.write_timeout):
            self.guard.observer.closed("write_timeout")
            self._reset()
        elif self._reading_paused and self._phase != DEAF:
            return  # what is late is late because of us
        elif self._phase == IDLE:
            if 0 < limits.idle_timeout < now - self._since:
                self._close_quietly("idle_timeout")
        elif self._phase == HEAD:
            if 0 < self._head_limit(limits) < now - self._since:
                self._head_is_late()
        elif self._phase == BODY:
            if self._is_slow(now, limits):
                self.refuse(_BODY_TIMEOUT, self._incoming)
        elif self._phase == DEAF:
            self._end_lingering(now)

    def _end_lingering(self, now: float) -> None:
        """Close a while after the client has taken its last answer."""
        if self._unsent:
            self._since = now
        elif now - self._since > LINGER:
            self.transport.close()

    def _head_limit(self, limits: ConnectionLimits) -> float:
        """Return the seconds that a head may take to come."""
        if self._closing and not self._heard:
            return LINGER  # it opened while the server was leaving
        return limits.header_timeout

    def _head_is_late(self) -> None:
        if self._heard:
            self.refuse(_HEADER_TIMEOUT)
        else:
            self._close_quietly("silent")

    def _is_slow(self, now: float, limits: ConnectionLimits) -> bool:
        seconds = now - self._since
        if not 0 < limits.body_timeout < seconds:
            return False
        if self._incoming is not None and self._incoming.waits_for_continue:
            return False  # it was not asked for yet
        return self._body_bytes < limits.body_min_rate * seconds

    def _close_quietly(self, reason: str) -> None:
        self.guard.observer.closed(reason)
        self._close()

    def _close(self) -> None:
        self._hear_no_more()
        self.transport.close()

    def _hear_no_more(self) -> None:
        self._deaf = True
        self._phase, self._since, self._heard = DEAF, time.perf_counter(), 0

    def shutdown(self) -> None:
        """End when idle, or with the answer that is under way (uvicorn's name)."""
        self._closing = True
        idle = self._phase == IDLE or (self._phase == HEAD and not self._heard)
        if idle and self._active is None:
            self._close()
