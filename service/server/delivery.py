"""
From an answer to the wire: the one place where a response head is completed.

Core handlers return their answer and `deliver` sends it; ASGI applications below the
route tree (typed routes, static files) send theirs through `recording_send`. Either way
the head gets what the filters asked for.
"""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Any

from service.server.context import RequestContext
from service.server.exchange import PIECE, Exchange
from service.server.heads import FixedHeaders
from service.server.recovery import recovered
from service.server.responses import Response, StreamResponse

__all__ = ["deliver", "recording_send", "write"]

_BODILESS = frozenset({204, 304})
"""Statuses that never have a body (RFC 9110 §6.4.1)."""

_LISTS = {b"set-cookie", b"vary"}
"""Headers of which the handler's own and those of the filters add up."""

Pairs = list[tuple[bytes, bytes]]


async def deliver(
    ctx: RequestContext, following: Callable[[RequestContext], Awaitable[Response]]
) -> Response:
    """
    Send the answer: the filter that parts those before it from those after it.

    Filters before it in the list see a request whose answer is already sent, whatever
    went wrong; filters after it may still change or replace the answer.
    """
    try:
        response = await following(ctx)
    except BaseException as error:  # noqa: BLE001 - the last resort (ASVS 16.5.4)
        response = recovered(ctx, error)
    if response.started:
        return response
    small = type(response) is Response and len(response.body) <= PIECE
    if small and isinstance(ctx.send, Exchange):
        _respond(ctx, ctx.send, response)
    else:
        await write(ctx, response)
    return response


def _respond(ctx: RequestContext, exchange: Exchange, response: Response) -> None:
    """Send a complete answer by the listener's short way."""
    status, body = response.status, response.body
    ctx.status = status
    headers, fixed = _parted(ctx, response.headers)
    exchange.respond(status, headers, body, fixed)
    if ctx.method != "HEAD" and status not in _BODILESS:
        ctx.bytes_sent = len(body)
    ctx.finished = True


async def write(ctx: RequestContext, response: Response) -> None:
    """Send *response*, headers that the filters asked for included."""
    if isinstance(response, StreamResponse):
        await _write_stream(ctx, response)
        return
    headers, body = head(ctx, response.headers), response.body
    if response.status not in _BODILESS:
        headers.append((b"content-length", b"%d" % len(body)))
    await _start(ctx, response.status, headers)
    if ctx.method == "HEAD" or response.status in _BODILESS:
        body = b""
    await ctx.send({"type": "http.response.body", "body": body})
    ctx.bytes_sent = len(body)
    ctx.finished = True


def _parted(ctx: RequestContext, headers: Pairs) -> tuple[Pairs, FixedHeaders | None]:
    """Return what `head` does, with the ready part apart when it is all wanted."""
    fixed = ctx.fixed_headers
    if fixed is not None:
        for name, _ in headers:
            if name in fixed.names:
                return head(ctx, headers), None
    for added, _ in ctx.response_headers:
        for name, _ in headers:
            if name == added:
                return _merged(ctx, headers), fixed
    return headers + ctx.response_headers, fixed


async def _write_stream(ctx: RequestContext, response: StreamResponse) -> None:
    headers = head(ctx, response.headers)
    if response.length is not None:
        headers.append((b"content-length", b"%d" % response.length))
    await _start(ctx, response.status, headers)
    if ctx.method == "HEAD":
        # else the listener would announce a length of 0 (RFC 9110 §8.6)
        await ctx.send({"type": "http.response.body", "more_body": True})
    elif not await _send_chunks(ctx, response.chunks):
        return
    await ctx.send({"type": "http.response.body", "body": b""})
    ctx.finished = True


async def _send_chunks(ctx: RequestContext, chunks: AsyncIterable[bytes]) -> bool:
    """
    Send *chunks* until they end or the client leaves; return whether they ended.

    The listener drops what is sent to a client that left without a word, so a stream
    without an end would go on for ever: its task is cancelled instead.
    """

    async def send_all() -> None:
        async for chunk in chunks:
            message = {"type": "http.response.body", "body": chunk, "more_body": True}
            await ctx.send(message)
            ctx.bytes_sent += len(chunk)

    sending = asyncio.ensure_future(send_all())
    leaving = asyncio.ensure_future(_client_left(ctx))
    try:
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        ended = sending.done()
        if ended:
            sending.result()
        return ended
    finally:
        leaving.cancel()
        sending.cancel()
        await asyncio.gather(sending, leaving, return_exceptions=True)


async def _client_left(ctx: RequestContext) -> None:
    while (await ctx.receive())["type"] != "http.disconnect":
        continue


async def _start(ctx: RequestContext, status: int, headers: Pairs) -> None:
    ctx.status = status
    await ctx.send(
        {"type": "http.response.start", "status": status, "headers": headers}
    )


def head(ctx: RequestContext, headers: Pairs) -> Pairs:
    """Return *headers* and those the filters asked for; the handler's own win."""
    merged = _merged(ctx, headers)
    if ctx.fixed_headers is not None:
        names = {name for name, _ in headers}
        merged += [pair for pair in ctx.fixed_headers.pairs if pair[0] not in names]
    return merged


def _merged(ctx: RequestContext, headers: Pairs) -> Pairs:
    names = {name for name, _ in headers} - _LISTS
    return [*headers, *(pair for pair in ctx.response_headers if pair[0] not in names)]


def recording_send(ctx: RequestContext) -> Callable[[Any], Awaitable[None]]:
    """Return an ASGI send that completes the head and keeps status and size."""

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            await _start_recorded(ctx, message)
            return
        if message["type"] == "http.response.body":
            if ctx.method != "HEAD":
                ctx.bytes_sent += len(message.get("body", b""))
            ctx.finished = not message.get("more_body", False)
        await ctx.send(message)

    return send


async def _start_recorded(ctx: RequestContext, message: Any) -> None:
    ctx.status = message["status"]
    headers = list(message.get("headers", ()))
    if isinstance(ctx.send, Exchange):
        ctx.send.start(ctx.status, *_parted(ctx, headers))
    else:
        await ctx.send({**message, "headers": head(ctx, headers)})
