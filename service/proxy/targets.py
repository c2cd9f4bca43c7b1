"""
From the client's view of a path to the upstream's, and back.

    /catalogue/a?b  <->  http://10.0.0.5:8080/base/a?b     (path /catalogue, stripped)

The prefix is compared by whole segments of the decoded path, in which the listener has
refused dot segments and encoded slashes: what is below it here is below it there.
"""

import re
from pathlib import Path
from urllib.parse import quote

from service.server.context import RequestContext
from service.settings.proxy import UPSTREAM, ProxyRoute

__all__ = ["Target"]

_SLASHES = re.compile(rb"//+")
_VISIBLE = bytes(range(0x21, 0x7F)).decode("ascii")
_PLACES = frozenset({b"location", b"content-location"})
_COOKIE_PATH = re.compile(rb"(;\s*path\s*=\s*)([^;]*)", re.IGNORECASE)


class Target:
    """
    Where the requests of a route go.

    Args:
        route: The route, whose upstream's URL was checked.

    Attributes:
        scheme: `http`, `https` or `service`.
        host: Host name or address, or name of the service.
        port: Port; 0 for a service.
        authority: Value of `Host`.
        tls: Name that its certificate must be for, and the file of authorities that
            vouch for it, None for those of the system; None as a whole for plain HTTP.
        moves: Whether paths differ between the two sides.
    """

    def __init__(self, route: ProxyRoute) -> None:
        match = UPSTREAM.fullmatch(route.upstream)
        if match is None:
            raise ValueError("the upstream is no URL")
        self.scheme = match["scheme"]
        self.host = match["host"].strip("[]")
        default = {"http": 80, "https": 443, "service": 0}[self.scheme]
        self.port = int(match["port"] or default)
        port = f":{match['port']}" if match["port"] else ""
        self.authority = f"{match['host']}{port}".encode("ascii")
        self.tls: tuple[str, Path | None] | None = None
        if self.scheme == "https":
            self.tls = (route.tls_name or self.host, _path(route.ca_file))
        here = route.path.rstrip("/")
        base = match["base"]
        there = base if route.strip_prefix else base + here
        self._depth = here.count("/")
        self._here, self._there = here.encode("ascii"), there.encode("ascii")
        self.moves = here != there
        self._origin = re.compile(
            rb"https?://(?:%b)(?=[/?#]|$)" % re.escape(self.authority), re.IGNORECASE
        )

    def of(self, ctx: RequestContext) -> bytes:
        """Return the request target for the upstream."""
        raw: bytes = ctx.scope.get("raw_path") or quote(ctx.path).encode("ascii")
        query: bytes = ctx.scope.get("query_string", b"")
        if self.moves or b"//" in raw or b"%" in raw or not raw.isascii():
            rest = _SLASHES.sub(b"/", raw).split(b"/", self._depth + 1)
            below = b"/" + rest[self._depth + 1] if len(rest) > self._depth + 1 else b""
            raw = _visible(self._there + below) or b"/"
        return b"%b?%b" % (raw, _visible(query)) if query else raw

    def back(self, name: bytes, value: bytes) -> bytes:
        """Return a header's value with its paths as the client knows them."""
        if name in _PLACES:
            origin = self._origin.match(value)
            if origin is not None:
                value = value[origin.end() :] or b"/"
            if value[:1] == b"/" and value[:2] != b"//":
                return self._path_back(value)
        elif name == b"set-cookie":
            return _COOKIE_PATH.sub(self._cookie_back, value)
        return value

    def _path_back(self, path: bytes) -> bytes:
        there = self._there
        if path.startswith(there) and path[len(there) :][:1] in (b"", b"/", b"?", b"#"):
            return (self._here + path[len(there) :]) or b"/"
        return path

    def _cookie_back(self, match: re.Match[bytes]) -> bytes:
        return match[1] + self._path_back(match[2].strip())


def _path(name: str) -> Path | None:
    return Path(name) if name else None


def _visible(text: bytes) -> bytes:
    """Return *text* with what is no visible ASCII percent-encoded."""
    return text if text.isascii() else quote(text, safe=_VISIBLE).encode("ascii")
