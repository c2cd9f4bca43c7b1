"""
One call: its attempts, each with an endpoint and a connection of its own.

Only what the upstream answers for is inside a lease: what the caller does with a
streamed answer is never held against an endpoint.
"""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx2

from service.client.answers import Response
from service.client.calls import Content
from service.client.errors import InvalidRequest, UpstreamUnavailable
from service.client.repeating import BadAnswer, retry_after, speaks_against
from service.client.targets import Target
from service.client.translating import translated
from service.client.upstream import Upstream
from service.discovery.balancer import Balancer
from service.discovery.lease import Lease
from service.discovery.model import Endpoint, NoEndpoints, UnknownService
from service.resilience.timeout import timeout
from service.settings import ClientSettings

__all__ = ["Exchange"]

SERVER_ERROR = 500


class _Direct:
    """Stands in for a lease where the URL names the endpoint itself."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    def failed(self) -> None:
        """Do nothing."""


@dataclass(slots=True, kw_only=True)
class Exchange:
    """
    A call under way; leaving its block lets go of the answer that is still open.

    Attributes:
        method: Method.
        target: Where it goes.
        upstream: Whom.
        headers: What is sent in the head.
        content: What is sent behind it.
        settings: How long each step may take.
        balancer: Finds the endpoints of a discovered service.
        key: What endpoints are chosen by, where they are chosen by a key.
        extensions: For the HTTP library.
        attempts: Attempts so far.
    """

    method: str
    target: Target
    upstream: Upstream
    headers: httpx2.Headers
    content: Content
    settings: ClientSettings
    balancer: Balancer | None
    key: str | None
    extensions: Mapping[str, Any]
    attempts: int = 0
    _tried: list[Endpoint] = field(default_factory=list)
    _open: AsyncExitStack | None = None

    async def whole(self) -> Response:
        """
        Make an attempt, and return its answer with its body.

        Raises:
            BadAnswer: The answer is one of failure.
            ClientError: There is none.
        """
        began = time.monotonic()
        async with self._answered() as answer:
            left = max(0.0, began + self.settings.attempt_timeout - time.monotonic())
            with translated(self.upstream.name):
                async with timeout(left):
                    await answer.read(self.settings.max_body_bytes)
            return _checked(answer)

    async def head(self) -> Response:
        """
        Make an attempt, and return its answer, whose body is still to come.

        Raises:
            BadAnswer: The answer is one of failure; it stays open until the next
                attempt, or the end of the block.
            ClientError: There is none.
        """
        await self._close(None, None, None)
        stack = AsyncExitStack()
        answer = await stack.enter_async_context(self._answered())
        self._open = stack
        return _checked(answer)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._close(kind, error, trace)

    async def _close(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._open is not None:
            stack, self._open = self._open, None
            await stack.__aexit__(kind, error, trace)

    @asynccontextmanager
    async def _answered(self) -> AsyncIterator[Response]:
        if self.upstream.closed:
            raise InvalidRequest("the client is closed")
        self.attempts += 1
        lease = self._lease()
        with lease as endpoint:
            url = self.target.url if endpoint is None else self._url(endpoint)
            with translated(self.upstream.name):
                request = self._request(url)
                async with timeout(self.settings.attempt_timeout):
                    inner = await self.upstream.transport.handle_async_request(request)
            try:
                if inner.status_code >= SERVER_ERROR:
                    lease.failed()
                yield Response(
                    inner,
                    upstream=self.upstream.name,
                    url=url,
                    attempts=self.attempts,
                )
            finally:
                await inner.aclose()

    def _lease(self) -> "_Direct | Lease":
        """
        Return the block around an attempt, on an endpoint that was not tried yet.

        Raises:
            UpstreamUnavailable: There is none.
            InvalidRequest: Nobody could know.
        """
        if not self.target.discovered:
            return _Direct()
        if self.balancer is None:
            raise InvalidRequest("service:// needs discovery, which is switched off")
        name = self.target.upstream
        try:
            lease = self.balancer.lease(
                name, key=self.key, exclude=self._tried, is_failure=speaks_against
            )
        except NoEndpoints as error:
            raise UpstreamUnavailable(
                "no instance of it is ready", service=name, reason="no_endpoints"
            ) from error
        except UnknownService as error:
            raise UpstreamUnavailable(
                "nobody knows this service", service=name, reason="unknown_service"
            ) from error
        self._tried.append(lease.endpoint)
        return lease

    def _url(self, endpoint: Endpoint) -> str:
        return f"http://{endpoint}{self.target.path}"

    def _request(self, url: str) -> httpx2.Request:
        steps = self.settings
        limits = {
            "connect": steps.connect_timeout,
            "read": steps.read_timeout,
            "write": steps.write_timeout,
            "pool": steps.pool_timeout,
        }
        return httpx2.Request(
            self.method,
            url,
            headers=self.headers,
            content=self.content,
            extensions={"timeout": limits, **self.extensions},
        )


def _checked(answer: Response) -> Response:
    if not BadAnswer.is_one(answer.status):
        return answer
    wait = retry_after(answer.headers.get("retry-after"))
    raise BadAnswer(answer.status, retry_after=wait, answer=answer)
