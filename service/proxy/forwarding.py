"""
The handler of a proxied route: attempts until there is an answer, then the answer as it
comes.

Nothing goes back to the client before an attempt has brought a head, so until then
another attempt is free to be made: of what was never sent always, of what may have been
sent only when it may be sent twice. After that the answer is passed on piece by piece,
no faster than the client takes it; one that breaks off cuts the client's connection, or
it would be taken for whole.
"""

import asyncio
import random
from collections.abc import Callable, MutableMapping
from typing import Any

from service.discovery.model import Endpoint
from service.errors import RequestError
from service.observability.logging import get_logger
from service.observability.proxy_metrics import RouteMetrics
from service.proxy.answer_head import AnswerHead
from service.proxy.attempt import Attempt
from service.proxy.failures import ClientLeft, Failure, Unwell, as_problem
from service.proxy.headers import Pairs, answer_headers, hops
from service.proxy.outgoing import Outgoing
from service.proxy.targets import Target
from service.proxy.tunnel import Tunnels, wanted_protocol
from service.proxy.upstream import Upstream
from service.server.context import RequestContext
from service.server.delivery import recording_send
from service.server.exchange import PIECE, Exchange
from service.server.recovery import STATUS_CLIENT_GONE
from service.server.responses import Response, SentResponse
from service.settings.proxy import ProxyRoute

__all__ = ["Forwarder", "Inject"]

Inject = Callable[[MutableMapping[str, str]], None]
"""Adds the headers of the current trace."""

MOST_HOPS = 5
"""Times that a request may come through proxies of our name: more is a loop."""

PAUSE = 0.05
"""Seconds before the second attempt at the same endpoint, at most; then twice that."""

_NEVER = float("inf")
_LOOP = 508
_BODILESS = frozenset({204, 304})
_UNWELL = frozenset({502, 503, 504})
_SWITCHING = 101


class Forwarder:
    """
    Answers the requests of one route.

    Args:
        route: Its settings.
        target: Where its upstream is.
        upstream: The upstream.
        via: This proxy's name in `Via`.
        metrics: What it counts.
        inject: Adds the headers of the current trace; None where nothing is traced.
        tunnels: Upgraded connections.

    Concurrency:
        For one event loop.
    """

    def __init__(
        self,
        route: ProxyRoute,
        target: Target,
        upstream: Upstream,
        *,
        via: bytes,
        metrics: RouteMetrics,
        inject: Inject | None,
        tunnels: Tunnels,
    ) -> None:
        self._route = route
        self._target = target
        self._upstream = upstream
        self._via = via
        self._metrics = metrics
        self._inject = inject
        self._tunnels = tunnels
        self._methods = frozenset(route.methods)
        self._log = get_logger("httpserver.proxy")

    async def handle(self, ctx: RequestContext) -> Response:
        """
        Answer a request with what the upstream answers.

        Raises:
            RequestError: It is not let through, or there is no answer.
        """
        self._check(ctx)
        ctx.log_fields = {"upstream": self._upstream.name}
        protocol = wanted_protocol(ctx) if self._route.websocket else b""
        request = self._outgoing(ctx, protocol)
        try:
            attempt = await self._answered(ctx, request)
        except ClientLeft:
            return SentResponse(status=STATUS_CLIENT_GONE)
        except Failure as failure:
            self._metrics.failed()
            raise as_problem(failure, self._upstream.name) from failure
        self._note(ctx, attempt)
        if not self._route.security_headers:
            ctx.fixed_headers = None
        if attempt.head.status == _SWITCHING:
            headers = answer_headers(attempt.head.headers, via=self._via, local=None)
            return await self._tunnels.run(
                ctx,
                attempt,
                headers=[*headers, (b"upgrade", protocol)],
                metrics=self._metrics,
                idle=self._route.timeouts.idle,
            )
        return await self._relayed(ctx, attempt, request)

    def _check(self, ctx: RequestContext) -> None:
        method = ctx.method
        if method in ("TRACE", "CONNECT") or (
            self._methods and method not in self._methods
        ):
            headers = {"allow": ", ".join(sorted(self._methods))}
            raise RequestError(status=405, headers=headers)
        if hops(ctx.scope["headers"], self._via) >= MOST_HOPS:
            raise RequestError("The request goes round in circles.", status=_LOOP)

    def _outgoing(self, ctx: RequestContext, protocol: bytes) -> Outgoing:
        host = self._target.authority
        if self._route.preserve_host:
            host = ctx.raw_header(b"host") or host
        extra: Pairs = []
        if self._inject is not None:
            trace: dict[str, str] = {}
            self._inject(trace)
            extra = [(k.encode("ascii"), v.encode("latin-1")) for k, v in trace.items()]
        return Outgoing(
            ctx,
            target=self._target.of(ctx),
            host=host,
            via=self._via,
            extra=extra,
            upgrade=protocol,
        )

    # -- attempts ------------------------------------------------------------------

    async def _answered(self, ctx: RequestContext, request: Outgoing) -> Attempt:
        """
        Return an attempt that has brought the head of an answer.

        Raises:
            Failure: None did.
        """
        route, upstream = self._route, self._upstream
        total = route.timeouts.total
        ends_at = asyncio.get_running_loop().time() + total if total else _NEVER
        tried: list[Endpoint] = []
        stale, retries = False, 0
        upstream.budget.earn()
        while True:
            attempt = Attempt(upstream, route.timeouts)
            try:
                head = await attempt.ask(
                    request,
                    tried=tried,
                    fresh=stale,
                    mute=ctx.method == "HEAD",
                    ends_at=ends_at,
                    watched=ctx.send,
                )
                if head.status not in _UNWELL:
                    return attempt
                if not self._may_repeat(request, Unwell(), retries, ends_at):
                    return attempt
                failure: Failure = Unwell(str(head.status))
                self._tell(attempt, failure)
                attempt.finish(failed=True)
            except Failure as error:
                failure = error
                self._tell(attempt, failure)
                first = attempt.stale and not stale and request.idempotent
                stale = first and request.replayable
                if not stale and not self._may_repeat(
                    request, failure, retries, ends_at
                ):
                    raise
            retries += not stale
            self._metrics.retried()
            if attempt.endpoint is not None:
                await self._pause(attempt.endpoint, tried, retries, ends_at)

    def _may_repeat(
        self, request: Outgoing, failure: Failure, retries: int, ends_at: float
    ) -> bool:
        if asyncio.get_running_loop().time() >= ends_at:
            return False
        if failure.status == 503 and not isinstance(failure, Unwell):  # noqa: PLR2004 - not asked
            return False
        if isinstance(failure, ClientLeft) or retries >= self._route.retries:
            return False
        if isinstance(failure, Unwell) and self._target.scheme != "service":
            return False  # the same endpoint would say the same
        if not request.replayable or (failure.sent and not request.idempotent):
            return False
        # what never got to an endpoint adds nothing to the load of the next one
        elsewhere = self._target.scheme == "service" and not failure.sent
        return elsewhere or self._upstream.budget.spend()

    async def _pause(
        self, endpoint: Endpoint, tried: list[Endpoint], retries: int, ends_at: float
    ) -> None:
        """Go to another endpoint at once, and to the same one after a while."""
        if self._target.scheme == "service" and endpoint not in tried:
            tried.append(endpoint)
            return
        if retries:
            pause = random.uniform(0, PAUSE * 2**retries)  # noqa: S311 - spreads load
            left = ends_at - asyncio.get_running_loop().time()
            await asyncio.sleep(min(pause, left / 2))  # the rest is for the attempt

    def _tell(self, attempt: Attempt, failure: Failure) -> None:
        self._metrics.attempt_failed(failure.reason)
        if not isinstance(failure, ClientLeft):
            self._log.warning(
                "upstream_failed",
                upstream=self._upstream.name,
                endpoint=str(attempt.endpoint or ""),
                reason=failure.reason,
                cause=str(failure),
            )

    def _note(self, ctx: RequestContext, attempt: Attempt) -> None:
        self._metrics.answered(attempt.head.status)
        self._metrics.observe(attempt.seconds)
        ctx.log_fields = {
            "upstream": self._upstream.name,
            "upstream_duration": round(attempt.seconds, 6),
        }

    # -- the answer ----------------------------------------------------------------

    async def _relayed(
        self, ctx: RequestContext, attempt: Attempt, request: Outgoing
    ) -> Response:
        head, connection = attempt.head, attempt.connection
        headers = answer_headers(
            head.headers,
            via=self._via,
            local=self._target.back if self._target.moves else None,
        )
        whole = connection.whole and connection.waiting <= PIECE
        if whole and ctx.method != "HEAD" and head.status not in _BODILESS:
            response = Response(connection.taken(), status=head.status)
            response.headers = headers
            attempt.finish(failed=head.status in _UNWELL)
            self._count(request.bytes, len(response.body))
            return response
        return await self._streamed(ctx, attempt, request, headers)

    async def _streamed(
        self, ctx: RequestContext, attempt: Attempt, request: Outgoing, headers: Pairs
    ) -> Response:
        head = attempt.head
        failed: bool | None = None
        try:
            await self._pass_on(ctx, attempt, headers)
            failed = head.status in _UNWELL
        except ClientLeft:
            return SentResponse(status=head.status)
        except Failure as failure:
            failed = True
            self._tell(attempt, failure)
            if not isinstance(ctx.send, Exchange):
                raise
            ctx.send.abort()
        finally:
            attempt.finish(failed=failed)
            self._count(request.bytes, ctx.bytes_sent)
        return SentResponse(status=head.status)

    async def _pass_on(
        self, ctx: RequestContext, attempt: Attempt, headers: Pairs
    ) -> None:
        connection, idle = attempt.connection, self._route.timeouts.idle
        send: Any = recording_send(ctx)
        head = attempt.head
        start = {"type": "http.response.start", "status": head.status}
        await send({**start, "headers": _with_length(head, headers)})
        if not connection.ready or (head.length is None and connection.whole):
            await send({"type": "http.response.body", "body": b"", "more_body": True})
        while True:
            connection.grant("idle", idle)
            body = await connection.piece()
            connection.grant("idle", 0)  # now it is the client that takes its time
            if not body:
                break
            await send({"type": "http.response.body", "body": body, "more_body": True})
            if getattr(ctx.send, "gone", False):
                raise ClientLeft("the client left")
        await send({"type": "http.response.body", "body": b""})

    def _count(self, sent: int, received: int) -> None:
        if sent:
            self._metrics.sent(sent)
        if received:
            self._metrics.received(received)


def _with_length(head: AnswerHead, headers: Pairs) -> Pairs:
    """Return the headers of a stream: a 204 has no length to announce."""
    if head.status == 204:  # noqa: PLR2004 - RFC 9110 §8.6
        return [pair for pair in headers if pair[0] != b"content-length"]
    return headers
