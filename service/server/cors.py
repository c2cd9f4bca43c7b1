"""
Which pages of other origins may call the service from a browser (CORS).

A browser lets a page read an answer of another origin only when the answer names that
origin, and asks first (the preflight) before it sends anything that a plain form could
not send. So this protects the browser's user, not the service: a request of an unknown
origin is served as ever, and its page may not read the answer.

What is granted is the list of the settings and nothing that the client says: no origin,
method or header is reflected. Private network access is never granted.

Source: https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from service.server.application import Filter
from service.server.context import RequestContext
from service.server.responses import Response
from service.server.routes import Handler
from service.settings import CorsSettings

__all__ = ["cors"]

ANY = "*"

_VARY = (b"vary", b"Origin")

Pairs = list[tuple[bytes, bytes]]


def cors(settings: CorsSettings) -> Filter:
    """
    Return the filter that answers preflights and marks what other origins may read.

    It belongs outside whatever may refuse a request: a page must be able to read the
    problem document too, and `Retry-After` with it.

    Args:
        settings: Whom to let in; with at least one origin, else leave the filter out.
    """
    anyone = ANY in settings.origins
    # compared as bytes and whole: no prefix, suffix or letter case may pass
    origins = frozenset(each.encode("latin-1") for each in settings.origins)
    readable = _readable(settings)
    preflight = _preflight(settings)

    async def share(ctx: RequestContext, following: Handler) -> Response:
        if anyone:
            allowed = ANY.encode()
        else:
            # caches must keep the answers apart, those without a grant too
            ctx.response_headers.append(_VARY)
            origin = ctx.raw_header(b"origin")
            if origin is None or origin not in origins:
                return await following(ctx)
            allowed = origin
        ctx.response_headers.append((b"access-control-allow-origin", allowed))
        if _asks_first(ctx):
            ctx.response_headers.extend(preflight)
            return ctx.no_content()
        ctx.response_headers.extend(readable)
        return await following(ctx)

    return share


def _asks_first(ctx: RequestContext) -> bool:
    """Whether this is a preflight; any other OPTIONS is the route's business."""
    return (
        ctx.method == "OPTIONS"
        and ctx.raw_header(b"origin") is not None
        and ctx.raw_header(b"access-control-request-method") is not None
    )


def _readable(settings: CorsSettings) -> Pairs:
    """Return what every answer to a known origin carries besides its name."""
    pairs = _credentials(settings)
    if settings.expose:
        pairs.append(_list(b"access-control-expose-headers", settings.expose))
    return pairs


def _preflight(settings: CorsSettings) -> Pairs:
    """Return what the answer to a preflight carries besides the origin's name."""
    return [
        *_credentials(settings),
        _list(b"access-control-allow-methods", settings.methods),
        _list(b"access-control-allow-headers", settings.headers),
        (b"access-control-max-age", b"%d" % settings.max_age),
    ]


def _credentials(settings: CorsSettings) -> Pairs:
    if not settings.credentials:
        return []
    return [(b"access-control-allow-credentials", b"true")]


def _list(name: bytes, values: list[str]) -> tuple[bytes, bytes]:
    return name, ", ".join(values).encode("latin-1")
