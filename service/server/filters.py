"""
The filters that the server ships. Their order stands in one place: `service.app`.

Each is a function of a context and the rest of the chain, or makes one from what it
needs; none knows another.
"""

import ipaddress
import random
import re
import time
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from http import HTTPStatus

from structlog.contextvars import STRUCTLOG_KEY_PREFIX

from service.errors import RequestError
from service.server.addresses import unmapped
from service.server.application import Filter
from service.server.around import Around
from service.server.context import RequestContext
from service.server.deadlines import Deadlines
from service.server.heads import FixedHeaders
from service.server.hosts import is_served

__all__ = [
    "DEFAULT_SECURITY_HEADERS",
    "SANE_ID",
    "forwarded",
    "request_id",
    "security_headers",
    "served_hosts",
    "time_limit",
]

_LOGGED_ID: ContextVar[object] = ContextVar(
    f"{STRUCTLOG_KEY_PREFIX}request_id", default=...
)
"""What structlog adds to each log line; set directly, because binding costs more."""

SANE_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
"""A request id that can stand in a header, a log line and a URN as it is."""

DEFAULT_SECURITY_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), display-capture=(), geolocation=(), "
    "microphone=(), payment=(), usb=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""
Headers of every answer; a handler's own value wins.

Source: https://owasp.org/www-project-secure-headers/, whose list is compared in
`docs/security.md`.
"""

_HSTS = (b"strict-transport-security", b"max-age=31536000")


def _identify(ctx: RequestContext) -> None:
    given = ctx.raw_header(b"x-request-id")
    if given is None or SANE_ID.fullmatch(given) is None:
        given = b"%032x" % random.getrandbits(128)
    ctx.request_id = given.decode("ascii")
    ctx.response_headers.append((b"x-request-id", given))
    # each request runs in a task, so in a context, of its own: no need to reset
    _LOGGED_ID.set(ctx.request_id)


request_id = Around(_identify)
"""Takes a sane `X-Request-Id`, else makes one; echoes it and binds it to the log."""


def time_limit(seconds: Callable[[], float]) -> Filter:
    """
    Return the filter that ends a handler that takes too long; `deliver` answers 504.

    The handler is cancelled. A stream that a core handler returned is sent after this
    filter and has no limit here.

    Args:
        seconds: Gives the limit, asked at each request; 0 is none.
    """
    deadlines = Deadlines()

    def begin(ctx: RequestContext) -> None:
        own = ctx.time_limit
        limit = seconds() if own is None else own
        if limit > 0:
            ctx.deadline = time.monotonic() + limit
            ctx.limit = deadlines.begin(ctx.deadline, ctx.send)

    def end(ctx: RequestContext) -> None:
        if ctx.limit is not None:
            ctx.timed_out = deadlines.finish(ctx.limit)

    return Around(begin, end)


def security_headers(headers: dict[str, str] | None = None) -> Filter:
    """
    Return the filter that adds the security headers.

    Args:
        headers: Names and values; `DEFAULT_SECURITY_HEADERS` without.
    """
    pairs = [
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, value in (headers or DEFAULT_SECURITY_HEADERS).items()
    ]
    plain, secure = FixedHeaders(pairs), FixedHeaders([*pairs, _HSTS])

    def secured(ctx: RequestContext) -> None:
        ctx.fixed_headers = secure if ctx.scheme == "https" else plain

    return Around(secured)


def served_hosts(patterns: Callable[[], Sequence[str]]) -> Filter:
    """
    Return the filter that answers 421 for a host that is not served here.

    A page of a foreign name that points at this address (DNS rebinding) gets nothing.
    Probes are exempt: they ask by the address of the pod.

    Args:
        patterns: Gives the hosts, asked at each request; none is all.
    """

    def check(ctx: RequestContext) -> None:
        served = patterns()
        if not served or ctx.probe:
            return
        host = ctx.raw_header(b"host")
        if host is None or not is_served(host.decode("latin-1"), served):
            detail = "This host is not served here."
            raise RequestError(detail, status=HTTPStatus.MISDIRECTED_REQUEST)

    return Around(check)


def forwarded(trusted: Iterable[str]) -> Filter:
    """
    Return the filter that believes trusted proxies about client and scheme.

    The client is the last address of `X-Forwarded-For` that is no trusted proxy; from
    any other peer both headers are ignored (ASVS 4.1.3).

    Args:
        trusted: Addresses and networks, such as `10.0.0.0/8`.

    Raises:
        ValueError: One of them is neither.
    """
    networks = [ipaddress.ip_network(each, strict=False) for each in trusted]
    if not networks:
        return Around()

    def is_trusted(address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in networks)

    def believe(ctx: RequestContext) -> None:
        if is_trusted(ctx.client):
            ctx.trusted_peer = ctx.client
            _believe(ctx, is_trusted)

    return Around(believe)


def _believe(ctx: RequestContext, is_trusted: Callable[[str], bool]) -> None:
    proto = ctx.headers.get("x-forwarded-proto", "").lower()
    if proto in ("http", "https"):
        ctx.scheme = ctx.scope["scheme"] = proto
    hops = ",".join(ctx.headers.getlist("x-forwarded-for")).split(",")
    for hop in reversed([each.strip() for each in hops if each.strip()]):
        try:
            ctx.client = str(ipaddress.ip_address(unmapped(hop)))
        except ValueError:
            return
        ctx.scope["client"] = (ctx.client, 0)
        if not is_trusted(ctx.client):
            return
