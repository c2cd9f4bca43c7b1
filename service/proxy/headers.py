"""
What of the headers goes on, in both directions.

Those that speak of one connection end at it, and so do those that a `Connection` header
names. What tells where a request came from is ours to say: it is taken from a client
only when the client is a trusted proxy. Names with an underscore are dropped, because
many a framework reads `X_Forwarded_For` as `X-Forwarded-For`. Framing is made anew.

Source: RFC 9110 §7.6.1 (Connection), §7.6.3 (Via), RFC 7239 (Forwarded); nginx
(underscores_in_headers).
"""

from collections.abc import Callable, Iterable

from service.server.context import RequestContext

__all__ = ["Pairs", "answer_headers", "hops", "lines", "request_headers"]

Pairs = list[tuple[bytes, bytes]]

_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Headers of one connection."""

_OURS = frozenset(
    {
        b"content-length",
        b"expect",
        b"forwarded",
        b"host",
        b"http2-settings",
        b"via",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-proto",
        b"x-forwarded-server",
        b"x-real-ip",
        b"x-request-id",
    }
)
"""Headers of a request that are made anew."""

_LEFT_OUT = _HOP | _OURS

_NOT_BACK = _HOP | {b"alt-svc", b"x-request-id"}
"""Headers of an answer that stay here; `Alt-Svc` would lead past the proxy."""


def hops(headers: Pairs, name: bytes) -> int:
    """Return how often a request has come through proxies of this name."""
    mine = name.lower()
    return sum(
        part.split()[1:2] == [mine]
        for key, value in headers
        if key == b"via"
        for part in value.lower().split(b",")
    )


def request_headers(ctx: RequestContext, *, host: bytes, via: bytes) -> Pairs:
    """
    Return the headers of a request as they go to an upstream, without framing.

    Args:
        ctx: The request.
        host: Value of `Host`.
        via: This proxy's name in `Via`.
    """
    given: Pairs = ctx.scope["headers"]
    named = _named(given)
    kept = [
        pair
        for pair in given
        if pair[0] not in _LEFT_OUT and pair[0] not in named and b"_" not in pair[0]
    ]
    by = b"%b %b" % (ctx.scope["http_version"].encode("ascii"), via)
    before = _joined(given, b"via")
    return [
        (b"host", host),
        *kept,
        *_origin(ctx, given),
        (b"via", before + b", " + by if before else by),
        (b"x-request-id", ctx.request_id.encode("ascii")),
    ]


def _named(headers: Pairs) -> frozenset[bytes]:
    """Return the headers that `Connection` names."""
    value = _joined(headers, b"connection")
    if not value or value in (b"keep-alive", b"close"):
        return frozenset()
    return frozenset(each.strip().lower() for each in value.split(b","))


def _joined(headers: Pairs, name: bytes) -> bytes:
    values = [value for key, value in headers if key == name]
    return values[0] if len(values) == 1 else b", ".join(values)


def _origin(ctx: RequestContext, given: Pairs) -> Pairs:
    """Return where the request came from, as far as that is known for sure."""
    host = _joined(given, b"host")
    peer = ctx.trusted_peer or ctx.client
    client, proto = peer.encode("ascii", "replace"), ctx.scheme.encode("ascii")
    named = b";host=" + _quoted(host) if host else b""  # HTTP/1.0 has no need of one
    element = b"for=%b%b;proto=%b" % (_node(client), named, proto)
    for_, forwarded = client, element
    if ctx.trusted_peer:
        before = _joined(given, b"x-forwarded-for")
        for_ = before + b", " + client if before else client
        before = _joined(given, b"forwarded")
        forwarded = before + b", " + element if before else element
        host = _joined(given, b"x-forwarded-host") or host
    asked = [(b"x-forwarded-host", host)] if host else []
    return [
        (b"x-forwarded-for", for_),
        (b"x-forwarded-proto", proto),
        *asked,
        (b"forwarded", forwarded),
    ]


def _node(address: bytes) -> bytes:
    """Return *address* as RFC 7239 §6 writes it."""
    if not address:
        return b"unknown"
    return b'"[%b]"' % address if b":" in address else address


def _quoted(value: bytes) -> bytes:
    plain = value.replace(b".", b"").replace(b"-", b"")
    if plain.isalnum():
        return value
    return b'"%b"' % value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def answer_headers(
    headers: Pairs, *, via: bytes, local: Callable[[bytes, bytes], bytes] | None
) -> Pairs:
    """
    Return the headers of an answer as they go to the client.

    Args:
        headers: As they came.
        via: This proxy's name in `Via`.
        local: Gives the value of a header as this side sees it; None to keep them.
    """
    named = _named(headers) - {b"content-length"}
    kept = [
        pair for pair in headers if pair[0] not in _NOT_BACK and pair[0] not in named
    ]
    if local is not None:
        kept = [(name, local(name, value)) for name, value in kept]
    kept.append((b"via", b"1.1 " + via))
    return kept


def lines(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return headers as bytes for the wire."""
    return b"".join([b"%b: %b\r\n" % pair for pair in pairs])
