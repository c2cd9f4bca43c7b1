"""The answer to a call."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx2

from service.client.errors import AnswerTooLarge
from service.client.translating import translated

__all__ = ["Response"]

_SUCCESS = range(200, 300)


class Response:
    """
    An answer; its body is there, or comes while it is read.

    Attributes:
        status: Status.
        headers: By name, in any case; those that came twice are joined by a comma.
        raw_headers: Pairs as they came.
        http_version: Such as `HTTP/1.1`.
        reason: The words behind the status, which mean nothing.
        charset: Charset that its head names.
        url: Where it came from.
        upstream: Name of the upstream.
        attempts: Attempts that it took.
        content: The body as it was before any content coding; empty while it has not
            been read.

    Concurrency:
        Belongs to one task.
    """

    __slots__ = ("_inner", "attempts", "content", "status", "upstream", "url")

    def __init__(
        self, inner: httpx2.Response, *, upstream: str, url: str, attempts: int
    ) -> None:
        self._inner = inner
        self.status: int = inner.status_code
        self.upstream = upstream
        self.url = url
        self.attempts = attempts
        self.content = b""

    @property
    def headers(self) -> Mapping[str, str]:
        """By name, in any case."""
        return self._inner.headers

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """Pairs as they came."""
        return self._inner.headers.raw

    @property
    def http_version(self) -> str:
        """Version of the protocol."""
        return self._inner.http_version

    @property
    def reason(self) -> str:
        """The words behind the status, which mean nothing."""
        return self._inner.reason_phrase

    @property
    def ok(self) -> bool:
        """Whether the status is one of success (2xx)."""
        return self.status in _SUCCESS

    @property
    def charset(self) -> str | None:
        """The charset that its head names."""
        return self._inner.charset_encoding

    @property
    def text(self) -> str:
        """The body by the charset that it names, UTF-8 without one."""
        charset = self.charset or "utf-8"
        try:
            return self.content.decode(charset, "replace")
        except (LookupError, UnicodeError):  # Python has one that always fails
            return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """
        Return the body read as JSON.

        Raises:
            ValueError: It is none, or nested deeper than Python can read.
        """
        try:
            return json.loads(self.content)
        except RecursionError:
            raise ValueError("nested too deeply") from None

    async def chunks(self, *, raw: bool = False) -> AsyncIterator[bytes]:
        """
        Yield the body as it comes; once, and only inside the block of `stream`.

        Args:
            raw: As it was sent, content coding and all.

        Raises:
            UpstreamError: It broke off.
        """
        inner = self._inner
        with translated(self.upstream):
            async for chunk in inner.aiter_raw() if raw else inner.aiter_bytes():
                yield chunk

    async def read(self, most: int | None = None) -> bytes:
        """
        Read the body to its end, and return it.

        Args:
            most: Largest body in bytes.

        Raises:
            AnswerTooLarge: It is larger.
            UpstreamError: It broke off.
        """
        parts, size = [], 0
        async for chunk in self.chunks():
            size += len(chunk)
            if most is not None and size > most:
                raise AnswerTooLarge(
                    f"the answer has more than {most} bytes",
                    service=self.upstream,
                    reason="too_large",
                )
            parts.append(chunk)
        self.content = b"".join(parts)
        return self.content
