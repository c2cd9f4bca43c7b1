"""
From requests to answers: one after the other, in the order in which they came.

A client may send the next request before it has the answer (pipelining). What waits is
a queue of requests, and behind it bytes that were not read yet, which take less; the
application has one request of a connection at a time.

A subclass says how the connection ends. Like `RequestReader` it is a base class because
every request goes through it.

Source: RFC 9112 §9.3.2 (pipelining), §9.6 (closing)
"""

import asyncio
import contextvars
import sys
import time
from functools import partial
from typing import Any

from typing_extensions import override

from service.server.exchange import ASGIApp, Exchange
from service.server.guard import Guard
from service.server.request_reader import (
    BUSY,
    HIGH_WATER,
    IDLE,
    PIPELINED,
    RequestReader,
)

__all__ = ["RequestAnswerer"]

if sys.version_info >= (3, 12):
    _begun = partial(asyncio.Task, eager_start=True)
else:
    _begun = asyncio.Task
"""Makes a task that begins at once, where Python can do that."""


class RequestAnswerer(RequestReader):
    """
    The answering side of a connection.

    Args:
        app: Answers.
        loop: The event loop.
        guard: What the connections of the server share.
        app_state: State that each request's scope gets a copy of.
    """

    __slots__ = (
        "_active",
        "_app",
        "_backlog",
        "_beginning",
        "_closing",
        "_context",
    )

    def __init__(
        self,
        app: ASGIApp,
        *,
        loop: asyncio.AbstractEventLoop,
        guard: Guard,
        app_state: dict[str, Any],
    ) -> None:
        super().__init__(loop, guard=guard, app_state=app_state)
        self._app = app
        self._closing = False
        self._active: Exchange | None = None
        self._beginning = False
        self._context = contextvars.copy_context()
        self._backlog = b""

    def _end(self) -> None:
        """Close, in such a way that the client can read its last answer."""
        raise NotImplementedError

    def _begin_next(self, *, waited: bool = False) -> None:
        """
        Let the application answer the next request, and those after it.

        An application that awaits nothing may be through before its task is made
        (Python 3.12): what follows is begun by this loop, not from within.
        """
        if self._beginning:
            return
        self._beginning = True
        try:
            while self._queue and self._active is None and self._writable is None:
                if waited:
                    # for its own connection, not for the service
                    self._queue[0].scope["httpserver.received"] = self._received()
                self._begin(self._queue.popleft())
                waited = True
        finally:
            self._beginning = False

    def _begin(self, exchange: Exchange) -> None:
        self._active = exchange
        if self.guard.drain.active:
            self.guard.observer.drained()
        # not that of the request before, which may have begun this one
        running = exchange.run(self._app)
        context = self._context.copy()
        # a number in the name would be formatted for each
        task = _begun(running, loop=self._loop, context=context, name="request")
        if not task.done():
            exchange.task = task
            self.guard.tasks.add(task)

    @override
    def finished(self, exchange: Exchange) -> None:
        """Go on after the answer of *exchange*."""
        self._active = None
        if not exchange.keep_alive:
            self._drop_queue()
            self._end()
        elif exchange is not self._incoming:
            self._go_on()
        else:
            self.resume_reading()  # what is left of the body is thrown away

    @override
    def _go_on(self) -> None:
        """Take the next request, once the client has taken the answers so far."""
        if self._active is not None or self._writable is not None:
            return
        if self._queue:
            self._begin_next(waited=True)
        elif self._backlog:
            self._read_backlog()
        elif self._closing:
            self._end()
        else:
            if self._reading_paused:
                self.resume_reading()
            if self._phase == BUSY:
                self._phase, self._since = IDLE, time.perf_counter()

    def _read_backlog(self) -> None:
        data, self._backlog = self._backlog, b""
        self.data_received(data)

    @override
    def resume_reading(self) -> None:
        """
        Read on: first what is here already, unless enough requests wait.

        The rest of a body that is awaited may be in the backlog, behind its head.
        """
        if self._backlog and len(self._queue) <= PIPELINED:
            self._read_backlog()
        if not self._backlog and len(self._queue) <= PIPELINED:
            super().resume_reading()

    @override
    def proceed(self) -> None:
        """Tell the client to send its body: its time begins now."""
        self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._since = time.perf_counter()

    @override
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

    def _given_up(self, exchange: Exchange) -> bool:
        """Take *exchange* from its application; cut the connection if it has begun."""
        if exchange.begun:
            self.abort()
            return False
        if exchange is self._active:
            self._active = None
            self._drop_queue()  # what comes behind it can't be answered before it
        else:
            self._queue.remove(exchange)
        exchange.leave()
        return True

    def _drop_queue(self) -> None:
        """Forget what has come and will not be answered."""
        for each in self._queue:
            each.leave()
        self._queue.clear()
        self._backlog = b""
