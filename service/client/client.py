"""
The client: calls other services, each by rules of its own.

    answer = await client.request("GET", "service://catalogue/products", timeout=2.0)

    async with client.stream("GET", url) as answer:
        async for chunk in answer.chunks():
            ...

The patterns stand around a call in the order of `service.resilience.policy`. A deadline
that the caller is inside of (`service.resilience.timeout`) bounds the call too. Cookies
are neither kept nor sent, proxies of the environment are not used, and redirects not
followed (`service.client.redirects` does).
"""

import time
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    MutableMapping,
)
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Unpack

import httpx2

from service import __version__
from service.client.answers import Response
from service.client.calls import CallOptions, Content
from service.client.errors import (
    InvalidRequest,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from service.client.exchange import Exchange
from service.client.pools import MakeTransport, Pools
from service.client.repeating import IDEMPOTENT, BadAnswer
from service.client.targets import Target, target_of
from service.client.telling import Telling
from service.client.upstream import Repeat, Upstream, Upstreams
from service.discovery.balancer import Balancer
from service.observability.client_metrics import ClientMetrics
from service.resilience.bulkhead import BulkheadFull
from service.resilience.circuit_breaker import CircuitOpen
from service.resilience.policy import Policy
from service.resilience.timeout import DeadlineExceeded
from service.settings import ClientSettings

__all__ = ["Client", "Propagate"]

Propagate = Callable[[MutableMapping[str, str]], None]
"""Adds what the callee must know of our caller, such as the ids of a trace."""

_HEDGED = frozenset({"GET", "HEAD"})


class Client:
    """
    Calls other services.

    Args:
        settings: Gives the settings as they are now.
        balancer: Finds the endpoints of `service://`; it can't be called without.
        propagate: Adds headers to each call.
        metrics: Where calls are counted, if anywhere.
        transport: Makes the connections of one upstream; a pool without.

    Attributes:
        metrics: Where calls are counted, if anywhere.

    Concurrency:
        Tasks of one event loop. A call that is cancelled leaves no connection behind.
    """

    def __init__(
        self,
        settings: Callable[[], ClientSettings],
        *,
        balancer: Balancer | None = None,
        propagate: Propagate = lambda _headers: None,
        metrics: ClientMetrics | None = None,
        transport: MakeTransport | None = None,
    ) -> None:
        self._settings = settings
        self._balancer = balancer
        self._propagate = propagate
        self.metrics = metrics
        self._upstreams = Upstreams(transport or Pools(settings()), Telling(metrics))

    async def request(
        self, method: str, url: str, **options: Unpack[CallOptions]
    ) -> Response:
        """
        Make a call, and return its answer, whatever its status, with its body.

        Args:
            method: Method.
            url: `http://`, `https://`, or `service://name/path` for a service that
                discovery knows.
            options: See `CallOptions`.

        Raises:
            InvalidRequest: The call can't be made like this.
            UpstreamUnavailable: Nobody was reached, or the call was not made.
            UpstreamTimeout: It took too long.
            InvalidAnswer: What came is no answer, or too large.
        """
        exchange = await self._exchange(method, url, options)
        policy = _policy(exchange, options, streamed=False)
        with self._counted(exchange.upstream):
            return await self._measured(exchange, policy, exchange.whole)

    @asynccontextmanager
    async def stream(
        self, method: str, url: str, **options: Unpack[CallOptions]
    ) -> AsyncIterator[Response]:
        """
        Make a call, and give its answer when its head is there, for as long as the
        block lasts.

        The time-outs bound the call until then; the body has only that of silence
        (`client.read_timeout`), and it is never asked for twice.

        Args:
            method: As `request`.
            url: As `request`.
            options: As `request`.

        Raises:
            ClientError: As `request`.
        """
        exchange = await self._exchange(method, url, options)
        policy = _policy(exchange, options, streamed=True)
        upstream = exchange.upstream
        with self._counted(upstream), _roomy(upstream):
            async with exchange:
                yield await self._measured(exchange, policy, exchange.head)

    async def close(self) -> None:
        """Close all connections; calls under way fail, and there are no others."""
        await self._upstreams.close()

    async def _exchange(self, method: str, url: str, options: CallOptions) -> Exchange:
        if self._upstreams.closed:
            raise InvalidRequest("the client is closed")
        if not method.isascii():
            raise InvalidRequest("a method has ASCII alone")
        target = target_of(url)
        settings = self._settings()
        return Exchange(
            method=method.upper(),
            target=target,
            upstream=await self._upstreams.of(target, settings),
            headers=self._head(target, options),
            content=options.get("content"),
            settings=settings,
            balancer=self._balancer,
            key=options.get("key"),
            extensions=options.get("extensions", {}),
        )

    def _head(self, target: Target, options: CallOptions) -> httpx2.Headers:
        try:
            head = httpx2.Headers(options.get("headers", ()))
        except (UnicodeEncodeError, TypeError) as error:
            raise InvalidRequest(f"a header can't be sent: {error}") from error
        _check_length(head.get_list("content-length"), options.get("content"))
        head.setdefault("user-agent", f"httpserver/{__version__}")
        if target.discovered:
            head.setdefault("host", target.upstream)
        key = options.get("idempotency_key")
        if key is not None:
            head["idempotency-key"] = key
        self._propagate(head)
        return head

    @contextmanager
    def _counted(self, upstream: Upstream) -> Iterator[None]:
        """Count a call as under way."""
        upstream.in_flight += 1
        if self.metrics is not None:
            self.metrics.began(upstream.name)
        try:
            yield
        finally:
            upstream.in_flight -= 1
            if self.metrics is not None:
                self.metrics.left(upstream.name)

    async def _measured(
        self,
        exchange: Exchange,
        policy: Policy,
        attempt: Callable[[], Awaitable[Response]],
    ) -> Response:
        """Make the attempts of a call, and count what came of it."""
        began = time.perf_counter()
        outcome = "cancelled"
        try:
            answer = await _governed(policy, attempt, exchange.upstream.name)
            outcome = str(answer.status)
        except UpstreamError as error:
            outcome = error.reason
            raise
        except InvalidRequest:
            outcome = "invalid"
            raise
        else:
            return answer
        finally:
            if self.metrics is not None:
                seconds = time.perf_counter() - began
                name = exchange.upstream.name
                self.metrics.ended(name, exchange.method, outcome, seconds)


async def _governed(
    policy: Policy, attempt: Callable[[], Awaitable[Response]], service: str
) -> Response:
    """Return the last answer; what the patterns raise is an error of ours."""
    try:
        return await policy.call(attempt)
    except BadAnswer as bad:
        if bad.answer is None:
            raise
        return bad.answer
    except CircuitOpen as error:
        raise UpstreamUnavailable(
            "it keeps failing, and is left alone for a while",
            service=service,
            reason="circuit_open",
            retry_after=error.retry_after,
        ) from error
    except BulkheadFull as error:
        raise _full(service) from error
    except DeadlineExceeded as error:
        raise UpstreamTimeout(
            "no answer in time", service=service, reason="timeout"
        ) from error


@contextmanager
def _roomy(upstream: Upstream) -> Iterator[None]:
    """Take a place for as long as an answer is read."""
    with ExitStack() as stack:
        try:
            stack.enter_context(upstream.room())
        except BulkheadFull as error:
            raise _full(upstream.name) from error
        yield


def _full(service: str) -> UpstreamUnavailable:
    return UpstreamUnavailable(
        "as many calls of it are under way as may be", service=service, reason="full"
    )


def _policy(exchange: Exchange, options: CallOptions, *, streamed: bool) -> Policy:
    repeat = _repeat(exchange, options.get("retry"))
    settings = exchange.settings
    hedged = bool(settings.hedge_after) and exchange.method in _HEDGED
    return exchange.upstream.policy(
        settings,
        repeat=repeat,
        hedged=hedged and repeat == "any" and not streamed,
        timeout=options.get("timeout"),
        streamed=streamed,
    )


def _repeat(exchange: Exchange, wanted: bool | None) -> Repeat:  # noqa: FBT001 - the call's own option
    """Return after which failures a call is repeated."""
    content = exchange.content
    if wanted is False or not (content is None or isinstance(content, bytes)):
        return "never"
    if wanted or exchange.method in IDEMPOTENT:
        return "any"
    return "any" if "idempotency-key" in exchange.headers else "unsent"


def _check_length(said: list[str], content: Content) -> None:
    """Refuse what the HTTP library would find when it has sent the half of it."""
    size = len(content or b"") if isinstance(content, bytes | None) else None
    if size is not None and any(each.strip() != str(size) for each in said):
        raise InvalidRequest("Content-Length says another size than the content has")
