"""
One attempt at a request: an endpoint is claimed, a connection taken, the request sent,
and the head of the answer awaited; `finish` lets go of all of it.
"""

import asyncio
from collections.abc import Collection

from service.discovery.model import Endpoint
from service.errors import RequestError
from service.proxy.answer_head import AnswerHead
from service.proxy.connection import UpstreamConnection
from service.proxy.failures import ClientLeft, Unasked, Unwell
from service.proxy.outgoing import Outgoing, broken_by
from service.proxy.pool import Pool
from service.proxy.upstream import Claim, Upstream, speaks_against
from service.resilience.circuit_breaker import CircuitOpen
from service.settings.proxy import ProxyTimeouts

__all__ = ["Attempt"]

GO_AHEAD = 1.0
"""Seconds that an upstream may let a client wait for `100 Continue`."""

_UNWELL = frozenset({502, 503, 504})


class Attempt:
    """
    One attempt at a request.

    Args:
        upstream: Who is asked.
        timeouts: How long it may take.

    Attributes:
        endpoint: Who of the upstream is asked; None before that is known.
        connection: The connection, once there is one.
        head: The head of the answer, once it is there.
        seconds: From the sent request to the head.
        stale: Whether it failed because its connection was just being closed.

    Concurrency:
        Belongs to the task of its request.
    """

    connection: UpstreamConnection
    head: AnswerHead
    endpoint: Endpoint | None = None
    seconds = 0.0
    stale = False

    def __init__(self, upstream: Upstream, timeouts: ProxyTimeouts) -> None:
        self._upstream = upstream
        self._timeouts = timeouts
        self._claim: Claim | None = None
        self._pool: Pool | None = None
        self._pump: asyncio.Task[None] | None = None
        self._unsent = False

    async def ask(
        self,
        request: Outgoing,
        *,
        tried: Collection[Endpoint],
        fresh: bool,
        mute: bool,
        ends_at: float,
        watched: object,
    ) -> AnswerHead:
        """
        Send the request and return the head of the answer.

        Args:
            request: What is sent.
            tried: Endpoints that have failed it.
            fresh: Whether it needs a new connection.
            mute: Whether the answer has no body, as that of HEAD.
            ends_at: When everything must be over, by the loop's clock.
            watched: The ASGI `send` of the request.

        Raises:
            Failure: There is no answer.
            ContentTooLarge: The request's body is larger than allowed.
        """
        breaker = self._upstream.breaker
        try:
            period = breaker.admit()
        except CircuitOpen as error:
            words = "The upstream has failed too often; it is left alone for now."
            raise Unasked("open", words, error.retry_after) from error
        began = breaker.clock()
        try:
            await self._connect(tried, fresh=fresh, ends_at=ends_at)
            began_sending = breaker.clock()
            head = await self._exchange(
                request, mute=mute, ends_at=ends_at, watched=watched
            )
        except BaseException as error:
            breaker.end(period, began, error)
            self._note_stale()
            self.finish(failed=speaks_against(error) or None)
            if isinstance(error, ClientLeft) and isinstance(
                error.__cause__, RequestError
            ):
                raise error.__cause__ from None
            raise
        self.head = head
        self.seconds = breaker.clock() - began_sending
        unwell = Unwell(str(head.status)) if head.status in _UNWELL else None
        breaker.end(period, began, unwell)
        return head

    async def _connect(
        self, tried: Collection[Endpoint], *, fresh: bool, ends_at: float
    ) -> None:
        self._claim = self._upstream.claim(tried)
        self.endpoint = self._claim.endpoint
        pool = self._pool = self._upstream.pool(self.endpoint)
        connect = self._connecting(ends_at)
        self.connection = await pool.take(connect=connect, fresh=fresh)

    def _connecting(self, ends_at: float) -> float:
        """Return the seconds that connecting may take."""
        left = ends_at - asyncio.get_running_loop().time()
        return min(self._timeouts.connect, left)

    async def _opening(self, request: Outgoing, ends_at: float) -> tuple[bytes, bool]:
        """Return the first of the body, and keep a connection to send it on."""
        first = await request.opening()
        if not self.connection.usable and self._pool is not None:
            # it was laid aside before, and ended while the client took its time
            self._pool.give_back(self.connection)
            connect = self._connecting(ends_at)
            self.connection = await self._pool.take(connect=connect, fresh=True)
        return first

    async def _exchange(
        self, request: Outgoing, *, mute: bool, ends_at: float, watched: object
    ) -> AnswerHead:
        timeouts = self._timeouts
        data, rest = request.head, False
        opened = request.has_body and not request.expects
        if opened:
            first, rest = await self._opening(request, ends_at)
            data += first
        connection = self.connection
        connection.begin(
            data,
            mute=mute,
            switches=request.switches,
            ends_at=ends_at,
            watched=watched,
        )
        if request.expects:
            connection.grant("head", timeouts.head)
            await connection.go_ahead(GO_AHEAD)
            self._unsent = connection.answered
            rest = not self._unsent
        if rest:
            self._pump = asyncio.ensure_future(self._pumped(request, opened=opened))
        elif not connection.answered:
            connection.grant("head", timeouts.head)
        return await connection.head()

    async def _pumped(self, request: Outgoing, *, opened: bool) -> None:
        try:
            await request.pump(self.connection, self._timeouts, opened=opened)
        except Exception as error:  # noqa: BLE001 - it is told where the answer is awaited
            self.connection.fail(broken_by(error))

    def _note_stale(self) -> None:
        connection = getattr(self, "connection", None)
        if connection is not None:
            self.stale = connection.torn and connection.used > 1

    def finish(self, *, failed: bool | None) -> None:
        """
        Let go of everything.

        Args:
            failed: Whether the endpoint failed; None says nothing about it.
        """
        claim, self._claim = self._claim, None
        if claim is None:
            return
        pump = self._pump
        connection = getattr(self, "connection", None)
        if connection is not None and self._pool is not None:
            if pump is not None and not pump.done():
                pump.cancel()
                connection.close()
            if self._unsent:
                connection.close()  # it may still wait for the body
            self._pool.give_back(connection)
        claim.finish(failed=failed)
