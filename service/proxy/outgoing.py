"""
A request on its way to an upstream: its head made anew, its body as it comes.

The body is read only when there is a connection to send it on, so that an upstream that
can't be reached costs the client nothing and the request may still go elsewhere. What
came in one piece is kept for a second attempt.
"""

from service.proxy.connection import UpstreamConnection
from service.proxy.failures import ClientLeft, Failure
from service.proxy.headers import Pairs, lines, request_headers
from service.server.context import RequestContext
from service.server.reading import too_large
from service.settings.proxy import ProxyTimeouts

__all__ = ["Outgoing", "broken_by"]

KEPT = 65_536
"""Bytes of body up to which it is kept for a second attempt."""

_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
"""Methods that may be sent twice (RFC 9110 §9.2.2)."""


class Outgoing:
    """
    A request as it goes to an upstream.

    Args:
        ctx: The request.
        target: Request target for the upstream.
        host: Value of `Host`.
        via: This proxy's name in `Via`.
        extra: Headers besides, which replace what the client sent.
        upgrade: Value of `Upgrade` when another protocol is asked for.

    Attributes:
        bytes: Bytes of body that were read so far.
        idempotent: Whether it may be sent twice.
        switches: Whether it asks for another protocol.

    Raises:
        ContentTooLarge: Its body is announced as larger than allowed.
    """

    def __init__(
        self,
        ctx: RequestContext,
        *,
        target: bytes,
        host: bytes,
        via: bytes,
        extra: Pairs,
        upgrade: bytes = b"",
    ) -> None:
        self._ctx = ctx
        self.idempotent = ctx.method in _IDEMPOTENT
        self.switches = bool(upgrade)
        self.bytes = 0
        self._consumed = False
        self._kept: bytes | None = None
        length = ctx.raw_header(b"content-length")
        self._chunked = ctx.raw_header(b"transfer-encoding") is not None
        self.has_body = self._chunked or length not in (None, b"0")
        if length is not None and int(length) > ctx.body_limit:
            raise too_large(ctx.body_limit)
        expect = ctx.raw_header(b"expect") or b""
        self.expects = self.has_body and expect.lower() == b"100-continue"
        pairs = request_headers(ctx, host=host, via=via)
        if extra:
            names = {name for name, _ in extra}
            pairs = [pair for pair in pairs if pair[0] not in names] + extra
        if self._chunked:
            pairs.append((b"transfer-encoding", b"chunked"))
        elif length is not None:
            pairs.append((b"content-length", length))
        if self.expects:
            pairs.append((b"expect", b"100-continue"))
        if upgrade:
            pairs += [(b"connection", b"upgrade"), (b"upgrade", upgrade)]
        method = ctx.method.encode("ascii")
        self.head = b"%b %b HTTP/1.1\r\n%b\r\n" % (method, target, lines(pairs))

    @property
    def replayable(self) -> bool:
        """Whether all of it can be sent once more."""
        return not self._consumed or self._kept is not None

    async def opening(self) -> tuple[bytes, bool]:
        """
        Return the first of the body, framed, and whether more follows.

        Raises:
            ClientLeft: The client is gone.
            ContentTooLarge: The body is larger than allowed.
        """
        if self._kept is not None:
            return self._framed(self._kept, more=False), False
        self._consumed = True
        body, more = await self._received()
        if not more and len(body) <= KEPT:
            self._kept = body
        return self._framed(body, more=more), more

    async def pump(
        self, connection: UpstreamConnection, timeouts: ProxyTimeouts, *, opened: bool
    ) -> None:
        """
        Send the body, or what is left of it after `opening`.

        Raises:
            Failure: It can't be sent.
            ContentTooLarge: The body is larger than allowed.
        """
        more = True
        if not opened:
            data, more = await self.opening()
            await connection.send(data)
        while more:
            if not connection.answered:
                connection.grant(
                    "idle", 0
                )  # the client's time is the listener's matter
            body, more = await self._received()
            if not connection.answered:
                connection.grant("idle", timeouts.idle)
            data = self._framed(body, more=more)
            if data:
                await connection.send(data)
        if not connection.answered:
            connection.grant("head", timeouts.head)

    async def _received(self) -> tuple[bytes, bool]:
        message = await self._ctx.receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft("the client left")
        body: bytes = message.get("body", b"")
        self.bytes += len(body)
        if self.bytes > self._ctx.body_limit:
            raise too_large(self._ctx.body_limit)
        return body, message.get("more_body", False)

    def _framed(self, body: bytes, *, more: bool) -> bytes:
        if not self._chunked:
            return body
        chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
        return chunk if more else chunk + b"0\r\n\r\n"


def broken_by(error: BaseException) -> Failure:
    """Return the failure that ends an exchange whose body can't be sent."""
    if isinstance(error, Failure):
        return error
    failure = ClientLeft("the body was refused")
    failure.__cause__ = error
    return failure
