"""
What a span tells of its request, by the semantic conventions for HTTP servers.

The query is left out: it is where links carry tokens.

Source: https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server-span
"""

from urllib.parse import urlsplit

from opentelemetry.semconv.attributes.client_attributes import CLIENT_ADDRESS
from opentelemetry.semconv.attributes.http_attributes import (
    HTTP_REQUEST_METHOD,
    HTTP_REQUEST_METHOD_ORIGINAL,
    HTTP_ROUTE,
)
from opentelemetry.semconv.attributes.network_attributes import NETWORK_PROTOCOL_VERSION
from opentelemetry.semconv.attributes.server_attributes import (
    SERVER_ADDRESS,
    SERVER_PORT,
)
from opentelemetry.semconv.attributes.url_attributes import URL_PATH, URL_SCHEME
from opentelemetry.semconv.attributes.user_agent_attributes import USER_AGENT_ORIGINAL

from service.server.context import RequestContext

__all__ = ["REQUEST_ID", "request_attributes", "span_name"]

REQUEST_ID = "httpserver.request_id"
"""Attribute by which a trace is found when all one has is an answer."""

_METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}
)
"""Methods that are told apart; any other is `_OTHER`, as the conventions have it."""

_PORTS = {"http": 80, "https": 443}


def span_name(ctx: RequestContext) -> str:
    """Return `METHOD /route`: few different ones, whatever clients ask for."""
    method = ctx.method if ctx.method in _METHODS else "HTTP"
    return f"{method} {ctx.route}" if ctx.route else method


def request_attributes(ctx: RequestContext) -> dict[str, str | int]:
    """Return what is known of a request before it is answered."""
    known = ctx.method in _METHODS
    found: dict[str, str | int] = {
        HTTP_REQUEST_METHOD: ctx.method if known else "_OTHER",
        URL_PATH: ctx.path,
        URL_SCHEME: ctx.scheme,
        NETWORK_PROTOCOL_VERSION: ctx.scope.get("http_version", "1.1"),
        REQUEST_ID: ctx.request_id,
    }
    if not known:
        found[HTTP_REQUEST_METHOD_ORIGINAL] = ctx.method
    if ctx.route:
        found[HTTP_ROUTE] = ctx.route
    if ctx.client:
        found[CLIENT_ADDRESS] = ctx.client
    agent = ctx.raw_header(b"user-agent")
    if agent is not None:
        found[USER_AGENT_ORIGINAL] = agent.decode("latin-1")
    return found | _server(ctx)


def _server(ctx: RequestContext) -> dict[str, str | int]:
    """Return the host and port that the client asked, or those it reached."""
    host = ctx.raw_header(b"host")
    try:
        asked = urlsplit(f"//{host.decode('latin-1')}") if host else None
        address, port = (asked.hostname, asked.port) if asked else (None, None)
    except ValueError:
        address, port = None, None
    if address is None:
        reached = ctx.scope.get("server") or ("", None)
        address, port = str(reached[0]), reached[1]
    if not address:
        return {}
    return {SERVER_ADDRESS: address, SERVER_PORT: port or _PORTS.get(ctx.scheme, 80)}
