"""
Strict reading of request bodies: what is malformed is the client's error, never ours.

Python's own JSON reader takes NaN, duplicate keys and any depth, and raises four kinds
of exception; FastAPI lets three of them become a 500. Here each is a 4xx.
"""

import json
import math
import re
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

from starlette.datastructures import FormData, Headers
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser

from service.errors import BadRequest, ContentTooLarge, UnsupportedMediaType

__all__ = [
    "MAX_JSON_DEPTH",
    "ClientDisconnected",
    "body_bytes",
    "check_coding",
    "form_data",
    "is_json",
    "json_value",
    "media_type",
    "too_large",
]

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]

MAX_JSON_DEPTH = 64
"""Nesting levels of a JSON body; deeper is an attack on the stack, not data."""

_STRING = re.compile(r'"(?:\\.|[^"\\])*"', re.DOTALL)
_BRACKET = re.compile(r"[][{}]")


class ClientDisconnected(Exception):
    """The client went away before its body was read."""


async def body_bytes(receive: Receive, *, length: str | None, limit: int) -> bytes:
    """
    Return the whole body.

    Args:
        receive: The ASGI receive callable of the request.
        length: Value of `Content-Length`, when there is one.
        limit: Largest body in bytes.

    Raises:
        ContentTooLarge: The body is longer than *limit*; announced bodies are refused
            before a byte is read.
        ClientDisconnected: The client left.
    """
    if length is not None and int(length) > limit:
        raise too_large(limit)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise too_large(limit)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def too_large(limit: int) -> ContentTooLarge:
    """Return the 413 that also ends the connection: the rest is not worth reading."""
    return ContentTooLarge(
        f"The body is larger than {limit} bytes.", headers={"connection": "close"}
    )


def media_type(headers: Headers) -> str:
    """Return the media type of the body, in lower case and without parameters."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def is_json(kind: str) -> bool:
    """Whether the media type *kind* is JSON or one of its kin (RFC 6839 §3.1)."""
    return kind == "application/json" or kind.endswith("+json")


def check_coding(coding: bytes | None) -> None:
    """
    Refuse a compressed body: a small one may unpack to any size.

    Args:
        coding: Value of `Content-Encoding`, when there is one.

    Raises:
        UnsupportedMediaType: It names a coding; the answer tells that none is taken
            (RFC 9110 §15.5.16).
    """
    if coding is not None and coding.strip().lower() not in (b"", b"identity"):
        raise UnsupportedMediaType(
            "The body must come without a content coding.",
            headers={"accept-encoding": "identity"},
        )


def json_value(body: bytes) -> Any:
    """
    Return the JSON value that *body* holds.

    Raises:
        BadRequest: It is empty, not UTF-8, not JSON (NaN and Infinity are not), nested
            deeper than `MAX_JSON_DEPTH`, or names a member twice.
    """
    try:
        text = body.decode("utf-8")
        _check_depth(text)
        value = json.loads(
            text,
            parse_constant=_no_constant,
            parse_float=_finite,
            object_pairs_hook=_unique_members,
        )
        _check_surrogates(text, value)
    except UnicodeDecodeError:
        raise BadRequest("The body is not UTF-8.") from None
    except (ValueError, RecursionError) as error:
        raise BadRequest(_reason(error)) from None
    return value


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        place = f"line {error.lineno}, column {error.colno}"
        return f"The body is not JSON: {error.msg.lower()} at {place}."
    if isinstance(error, _StrictError):
        return f"The body is not strict JSON: {error}."
    return "The body is not JSON that this service reads: a number is too long."


class _StrictError(ValueError):
    pass


def _no_constant(name: str) -> NoReturn:
    msg = f"{name} is not a JSON value"
    raise _StrictError(msg)


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        msg = "an object names a member twice"
        raise _StrictError(msg)
    return members


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        msg = "a number is out of range"
        raise _StrictError(msg)
    return number


def _check_depth(text: str) -> None:
    """Refuse deep nesting before the recursive reader sees it."""
    if text.count("[") + text.count("{") <= MAX_JSON_DEPTH:
        return
    depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub("", text)):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > MAX_JSON_DEPTH:
            msg = f"it is nested deeper than {MAX_JSON_DEPTH} levels"
            raise _StrictError(msg)


def _check_surrogates(text: str, value: Any) -> None:
    """Refuse a lone surrogate: no answer or log line could hold it."""
    if "\\ud" not in text.lower():
        return
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        msg = "a string holds half of a surrogate pair"
        raise _StrictError(msg) from None


async def form_data(headers: Headers, body: bytes) -> FormData:
    """
    Return the fields of a URL-encoded or multipart form.

    Raises:
        UnsupportedMediaType: The body is no form.
        BadRequest: The form is malformed.
    """
    kind = media_type(headers)
    try:
        if kind == "application/x-www-form-urlencoded":
            return await FormParser(headers, _once(body)).parse()
        if kind == "multipart/form-data":
            return await MultiPartParser(headers, _once(body)).parse()
    except (MultiPartException, KeyError, ValueError):
        raise BadRequest("The form is malformed.") from None
    raise UnsupportedMediaType("This route reads a form.")


async def _once(body: bytes) -> Any:
    yield body
    yield b""
