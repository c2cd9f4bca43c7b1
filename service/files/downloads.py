"""
A file on its way out: whole, in one part or in several, and only what is not known yet.

The answer is sent while the file is open, so that all of it is of one version.
"""

import secrets
from collections.abc import AsyncIterable, AsyncIterator, Callable
from dataclasses import replace

from service.errors import RequestError
from service.files.digests import digest_field
from service.files.disposition import content_disposition
from service.files.media_types import CONTENT_POLICY, is_shown, media_type_of
from service.files.ranges import Part, Unsatisfiable, wanted_parts
from service.files.requests import (
    condition_of,
    http_date,
    is_known,
    range_applies,
)
from service.files.store import FileInfo, OpenFile
from service.server.context import RequestContext
from service.server.delivery import write
from service.server.responses import Response, SentResponse, StreamResponse

__all__ = ["send_file"]

_PARTIAL = 206
_NOT_MODIFIED = 304
_UNSATISFIABLE = 416


async def send_file(
    ctx: RequestContext, file: OpenFile, name: str, *, count: Callable[[int], None]
) -> Response:
    """
    Answer GET or HEAD with a file.

    Args:
        ctx: The request.
        file: What is sent.
        name: Its last name.
        count: Told how many bytes of files go out.

    Raises:
        PreconditionFailed: The client asks for another version.
        RequestError: 416: no part that it asks for is there.
    """
    info = file.info
    # If-None-Match is no refusal here but the question whether anything is new
    meant = replace(condition_of(ctx), none_match=None)
    meant.check(info.etag, info.modified)
    headers = _headers(info)
    if is_known(ctx, info):
        return Response(status=_NOT_MODIFIED, headers=headers)
    response = _response(ctx, file, headers | _content_headers(ctx, name))
    response.chunks = _counted(response.chunks, count)
    await write(ctx, response)
    return SentResponse(status=ctx.status)


def _headers(info: FileInfo) -> dict[str, str]:
    """Return what is said of a version, whatever is sent of it."""
    headers = {
        "etag": info.etag,
        "last-modified": http_date(info.modified),
        "cache-control": "no-cache",
        "content-security-policy": CONTENT_POLICY,
    }
    if info.digests:
        headers["repr-digest"] = digest_field(info.digests)
    return headers


def _content_headers(ctx: RequestContext, name: str) -> dict[str, str]:
    shown = is_shown(name) and "download" not in ctx.query
    return {
        "accept-ranges": "bytes",
        "content-disposition": content_disposition(name, shown=shown),
        "content-type": media_type_of(name),
    }


def _response(
    ctx: RequestContext, file: OpenFile, headers: dict[str, str]
) -> StreamResponse:
    size = file.info.size
    asked = ctx.headers.get("range") if ctx.method == "GET" else None
    try:
        applies = asked is not None and range_applies(ctx, file.info)
        parts = wanted_parts(asked, size) if applies else None
    except Unsatisfiable:
        raise _unsatisfiable(size) from None
    if parts is None:
        return StreamResponse(file.chunks(0, size), headers=headers, length=size)
    if len(parts) == 1:
        start, stop = parts[0]
        told = headers | {"content-range": f"bytes {start}-{stop - 1}/{size}"}
        chunks = file.chunks(start, stop)
        return StreamResponse(
            chunks, status=_PARTIAL, headers=told, length=stop - start
        )
    return _several(file, parts, headers)


def _unsatisfiable(size: int) -> RequestError:
    return RequestError(
        "No such part is there, or too many parts are wanted.",
        status=_UNSATISFIABLE,
        headers={"content-range": f"bytes */{size}", "accept-ranges": "bytes"},
    )


def _several(
    file: OpenFile, parts: list[Part], headers: dict[str, str]
) -> StreamResponse:
    """Return an answer of several parts (RFC 9110 §14.6)."""
    size = file.info.size
    # nobody can know it in advance and put it into a file
    boundary = secrets.token_hex(16)
    heads = [
        f"\r\n--{boundary}\r\nContent-Type: {headers['content-type']}\r\n"
        f"Content-Range: bytes {start}-{stop - 1}/{size}\r\n\r\n".encode()
        for start, stop in parts
    ]
    end = f"\r\n--{boundary}--\r\n".encode()

    async def chunks() -> AsyncIterator[bytes]:
        for head, (start, stop) in zip(heads, parts, strict=True):
            yield head
            async for chunk in file.chunks(start, stop):
                yield chunk
        yield end

    length = sum(map(len, heads)) + sum(b - a for a, b in parts) + len(end)
    kind = f"multipart/byteranges; boundary={boundary}"
    return StreamResponse(
        chunks(),
        status=_PARTIAL,
        headers=headers | {"content-type": kind},
        length=length,
    )


async def _counted(
    chunks: AsyncIterable[bytes], count: Callable[[int], None]
) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        yield chunk
        count(len(chunk))
