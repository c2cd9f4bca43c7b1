"""Several calls of one service from the command line: JSON both ways."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

from service.client.answers import Response
from service.client.errors import InvalidRequest
from service.errors import ServiceError
from service.getting.asking import Ask, asking, client_for, head_for

__all__ = ["Caller", "OtherAnswer", "Refused"]

_REDIRECT = 300
_MOST_PROBLEM = 1_000_000


class OtherAnswer(ServiceError):
    """What answered is not the service that was meant."""


class Refused(ServiceError):
    """
    An answer of failure, or one that leads elsewhere.

    Args:
        answer: It, with its body.

    Attributes:
        status: Its status.
        problem: Its problem document (RFC 9457); empty for an answer that is none.
        location: Where it leads, if it does.
        attempts: Attempts that it took.
    """

    def __init__(self, answer: Response) -> None:
        super().__init__(f"status {answer.status}")
        self.status = answer.status
        self.location = answer.headers.get("location", "")
        self.attempts = answer.attempts
        self.problem = _problem(answer)


class Caller:
    """
    Calls one service by what *ask* says: a block that keeps its connections.

    Args:
        ask: URL of the service, and how it is called.
        connections: Most at once.

    Attributes:
        ask: The same.

    Concurrency:
        Tasks of one event loop.
    """

    def __init__(self, ask: Ask, *, connections: int = 1) -> None:
        self.ask = ask
        self._client = client_for(ask, connections=connections)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.close()

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        values: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        repeat: bool | None = None,
    ) -> Response:
        """
        Make a call, and return its answer of success with its body.

        Args:
            method: Method.
            path: Behind the service's URL, with its query if it has one.
            query: What is asked; what is None or empty is left out.
            values: Body as JSON.
            content: Body as it is.
            headers: More of them.
            repeat: Whether it may be done twice; by method and idempotency key without.

        Raises:
            Refused: The service answered with a failure.
            ClientError: There is no answer.
        """
        head, extensions = head_for(self.ask)
        head += (headers or {}).items()
        if values is not None:
            content = json.dumps(values).encode()
            head.append(("content-type", "application/json"))
        answer = await self._client.request(
            method,
            self._url(path, query),
            headers=head,
            content=content,
            extensions=extensions,
            retry=repeat,
        )
        if answer.status >= _REDIRECT:
            raise Refused(answer)
        return answer

    async def json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """
        Make a call as `call`, and return the JSON object that it is answered with.

        Raises:
            OtherAnswer: It is answered with something else.
        """
        answer = await self.call(method, path, **options)
        try:
            found = answer.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise OtherAnswer(f"what answers at {self.ask.url} is another service")
        return found

    @asynccontextmanager
    async def stream(
        self,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Response]:
        """Give the answer of success to a GET, whose body is still to come."""
        more = (*self.ask.headers, *(headers or {}).items())
        ask = replace(self.ask, url=self._url(path, query), headers=more)
        async with asking(self._client, ask) as answer:
            if answer.status >= _REDIRECT:
                await answer.read(_MOST_PROBLEM)
                raise Refused(answer)
            yield answer

    def _url(self, path: str, query: Mapping[str, Any] | None) -> str:
        told = {k: v for k, v in (query or {}).items() if v not in (None, "")}
        try:
            return f"{self.ask.url}{path}" + (f"?{urlencode(told)}" if told else "")
        except UnicodeEncodeError:  # an argument may be any bytes
            raise InvalidRequest("what is asked for is no text in UTF-8") from None


def _problem(answer: Response) -> dict[str, Any]:
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/problem+json":
        return {}
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
