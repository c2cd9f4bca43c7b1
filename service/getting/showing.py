"""
An answer on standard output: as it came for a pipe, readable for a person.

On a terminal JSON is laid out, and what a terminal would obey is not sent to it; what
is no text is refused.
"""

import codecs
import json
from collections.abc import Callable

from service.client.answers import Response

__all__ = ["Binary", "head_text", "show_body"]

LAID_OUT_MOST = 4 * 1024 * 1024
"""Bytes of JSON above which it is shown as it came."""

_SPACES = "\n\t"


class Binary(Exception):
    """What came is no text, and a terminal shows nothing else."""


def head_text(answer: Response, *, terminal: bool) -> str:
    """Return status line and headers."""
    lines = [f"{answer.http_version} {answer.status} {answer.reason}".rstrip()]
    lines += [f"{_text(name)}: {_text(value)}" for name, value in answer.raw_headers]
    text = "\n".join(lines) + "\n\n"
    return _plain(text) if terminal else text


async def show_body(
    answer: Response, write: Callable[[bytes], None], *, terminal: bool
) -> None:
    """
    Write the body as it comes.

    Raises:
        Binary: It is no text, and goes to a terminal.
        UpstreamError: It broke off.
    """
    if not terminal:
        async for chunk in answer.chunks():
            write(chunk)
        return
    if _is_json(answer):
        await _show_json(answer, write)
        return
    await _show_text(answer, write)


async def _show_text(answer: Response, write: Callable[[bytes], None]) -> None:
    decoder = codecs.getincrementaldecoder(_charset(answer))()
    last = "\n"
    try:
        async for chunk in answer.chunks():
            text = _decoded(decoder, chunk)
            write(_plain(text).encode())
            last = text or last
        text = _decoded(decoder, b"", final=True)
        write(_plain(text).encode())
        last = text or last
    finally:  # whatever comes next, an error too, begins on a line of its own
        if not last.endswith("\n"):
            write(b"\n")


def _decoded(
    decoder: codecs.IncrementalDecoder, chunk: bytes, *, final: bool = False
) -> str:
    if b"\0" in chunk:
        raise Binary
    try:
        return decoder.decode(chunk, final)
    except UnicodeError:  # UTF-16 without its mark is no `UnicodeDecodeError`
        raise Binary from None


async def _show_json(answer: Response, write: Callable[[bytes], None]) -> None:
    body = bytearray()
    chunks = answer.chunks()
    async for chunk in chunks:
        body += chunk
        if len(body) > LAID_OUT_MOST:
            break
    else:
        write(_laid_out(bytes(body)).encode() + b"\n")
        return
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    write(_plain(decoder.decode(bytes(body))).encode())
    async for chunk in chunks:
        write(_plain(decoder.decode(chunk)).encode())


def _laid_out(body: bytes) -> str:
    try:
        text = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = body.decode("utf-8", "replace").rstrip("\n")
    return _plain(text)


def _is_json(answer: Response) -> bool:
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def _charset(answer: Response) -> str:
    charset = answer.charset or "utf-8"
    try:
        "".encode(charset)  # Python has codecs that are none of text, such as zlib
    except (LookupError, UnicodeError):
        return "utf-8"
    return charset


def _plain(text: str) -> str:
    """Return *text* with a `?` for whatever a terminal would obey instead of show."""
    return "".join(
        each if each.isprintable() or each in _SPACES else "?"
        for each in text.replace("\r\n", "\n")
    )


def _text(value: bytes) -> str:
    return value.decode("latin-1")
