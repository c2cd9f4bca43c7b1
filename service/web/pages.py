"""
The pages and their files, served from the package, from memory.

Everything comes from this service and nothing is inline, so that the pages work under
`default-src 'self'` and in a cluster without a way out. Browsers may keep each file and
ask whether it changed: the answer is mostly 304.
"""

import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass
from importlib.resources import files

from service.errors import NotFound
from service.server.context import RequestContext
from service.server.responses import Response
from service.server.routes import Route

__all__ = ["Pages"]

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
"""Types by the end of the name; a file with another end is not served."""

_MARKED = re.compile(rb'data-when="(\w+)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asset:
    """One file as it is sent."""

    body: bytes
    media_type: str
    etag: str


class Pages:
    """
    The pages: of `/`, of the API at `/docs`, of the fan-out, and their files.

    Args:
        features: Features that are on; lines of a page that are marked `data-when` with
            the name of another are left out of it.
    """

    def __init__(self, *, features: Collection[str] = ()) -> None:
        self._assets = _read_assets(features)

    def routes(self) -> list[Route]:
        """Return the routes; `front` and `fan_out` share theirs with programs."""
        return [
            Route(path="/docs", handler=self.docs),
            Route(path="/assets/{name}", handler=self.asset),
            # what browsers ask for beside an answer that is no page
            Route(path="/favicon.ico", handler=self.favicon),
        ]

    async def front(self, ctx: RequestContext) -> Response:
        """Answer the page."""
        return _answer(ctx, self._assets["page.html"])

    async def fan_out(self, ctx: RequestContext) -> Response:
        """Answer the page that draws the tree of calls."""
        return _answer(ctx, self._assets["fan-out.html"])

    async def docs(self, ctx: RequestContext) -> Response:
        """Answer the page that shows `/openapi.json`."""
        return _answer(ctx, self._assets["docs.html"])

    async def favicon(self, ctx: RequestContext) -> Response:
        """Answer the icon."""
        return _answer(ctx, self._assets["favicon.svg"])

    async def asset(self, ctx: RequestContext) -> Response:
        """
        Answer a file of the pages.

        Raises:
            NotFound: There is no such file.
        """
        asset = self._assets.get(ctx.path_params["name"])
        if asset is None:
            raise NotFound("Nothing is at this path.")
        return _answer(ctx, asset)


def _read_assets(features: Collection[str]) -> dict[str, _Asset]:
    """Return the files of the package's folder `assets` by name."""
    found = {}
    for file in files("service.web").joinpath("assets").iterdir():
        media_type = _TYPES.get(file.name.rpartition(".")[2])
        if media_type is not None:
            lines = file.read_bytes().splitlines(keepends=True)
            body = b"".join(line for line in lines if _wanted(line, features))
            etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
            found[file.name] = _Asset(body=body, media_type=media_type, etag=etag)
    return found


def _wanted(line: bytes, features: Collection[str]) -> bool:
    marked = _MARKED.search(line)
    return marked is None or marked[1].decode() in features


def _answer(ctx: RequestContext, asset: _Asset) -> Response:
    """Return the file, or 304 when the client has it (RFC 9110 §13.1.2)."""
    headers = {"etag": asset.etag, "cache-control": "no-cache"}
    if _has(ctx.headers.get("if-none-match", ""), asset.etag):
        return Response(status=304, headers=headers)
    return Response(asset.body, media_type=asset.media_type, headers=headers)


def _has(if_none_match: str, etag: str) -> bool:
    """Whether the client's tags name *etag*; proxies may have made it weak."""
    tags = (tag.strip().removeprefix("W/") for tag in if_none_match.split(","))
    return any(tag in ("*", etag) for tag in tags)
