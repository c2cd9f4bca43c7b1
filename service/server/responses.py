"""
Answers of core handlers: a complete body, a stream, or one already on the wire.

They are small on purpose: a core handler's answer is a status, a list of raw header
pairs and bytes, so that nothing is computed twice on the way to the listener.
"""

import http
import json
from collections.abc import AsyncIterable, Callable, Mapping
from typing import Any

import orjson

from service.errors import RequestError

__all__ = [
    "JSON",
    "PROBLEM_JSON",
    "TEXT",
    "Response",
    "SentResponse",
    "StreamResponse",
    "json_bytes",
    "problem",
    "status_phrase",
]

JSON = "application/json"
PROBLEM_JSON = "application/problem+json"
TEXT = "text/plain; charset=utf-8"

type_header = (b"content-type", b"application/json")
"""The header pair of the most frequent answer, made once."""

_JSON_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z


def json_bytes(
    value: object, *, default: Callable[[Any], object] | None = None
) -> bytes:
    """
    Return *value* as JSON in UTF-8.

    Integers of any size are written: orjson stops at 64 bits, clients may not.

    Raises:
        TypeError: A value has no JSON form, or a string holds a lone surrogate.
    """
    try:
        return orjson.dumps(value, default=default, option=_JSON_OPTIONS)
    except TypeError as error:
        if "64-bit" not in str(error):
            raise

    def plain(other: object) -> Any:
        return orjson.loads(orjson.dumps(other, default=default, option=_JSON_OPTIONS))

    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=plain)
    return text.encode("utf-8", "replace")


def status_phrase(status: int) -> str:
    """Return the standard phrase of *status*, or `Unknown`."""
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


class Response:
    """
    A complete answer.

    Args:
        body: The bytes to send; HEAD sends their length alone.
        status: 200 to 599.
        media_type: Value of `Content-Type`, or None for no such header.
        headers: Further headers; names are made lower case, values are Latin-1.
    """

    __slots__ = ("body", "headers", "status")

    started = False
    """Whether the head of this answer is already on the wire."""

    def __init__(
        self,
        body: bytes = b"",
        *,
        status: int = 200,
        media_type: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.body = body
        self.headers: list[tuple[bytes, bytes]] = []
        if media_type == JSON:
            self.headers.append(type_header)
        elif media_type is not None:
            self.headers.append((b"content-type", media_type.encode("latin-1")))
        if headers:
            for name, value in headers.items():
                self.add_header(name, value)

    def add_header(self, name: str, value: str) -> None:
        """Add a header beside those that are there."""
        self.headers.append((name.lower().encode("latin-1"), value.encode("latin-1")))

    def header(self, name: str) -> str | None:
        """Return the first value of header *name*, or None."""
        wanted = name.lower().encode("latin-1")
        found = (value for key, value in self.headers if key == wanted)
        value = next(found, None)
        return None if value is None else value.decode("latin-1")


class StreamResponse(Response):
    """
    An answer whose body comes piece by piece.

    Args:
        chunks: The pieces; when it raises, the connection is cut, so that the client
            sees that the answer is not whole.
        length: Value of `Content-Length` when it is known, in bytes.
    """

    __slots__ = ("chunks", "length")

    def __init__(
        self,
        chunks: AsyncIterable[bytes],
        *,
        status: int = 200,
        media_type: str | None = None,
        headers: Mapping[str, str] | None = None,
        length: int | None = None,
    ) -> None:
        super().__init__(status=status, media_type=media_type, headers=headers)
        self.chunks = chunks
        self.length = length


class SentResponse(Response):
    """What a typed route leaves behind: its answer went to the wire as it was made."""

    __slots__ = ()

    started = True


def problem(error: RequestError, *, instance: str | None = None) -> Response:
    """
    Return the RFC 9457 problem document of *error*: the one place where it is made.

    Args:
        error: What went wrong, in words for the client.
        instance: The request id, as `urn:request:<id>`, to find it in the log.

    Source: https://www.rfc-editor.org/rfc/rfc9457
    """
    document: dict[str, object] = {
        "type": "about:blank",
        "title": status_phrase(error.status),
        "status": int(error.status),
    }
    if error.detail:
        document["detail"] = error.detail
    if instance:
        document["instance"] = f"urn:request:{instance}"
    document |= error.extensions
    return Response(
        json_bytes(document),
        status=int(error.status),
        media_type=PROBLEM_JSON,
        headers=error.headers,
    )
