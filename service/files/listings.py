"""A directory as clients get it: JSON, page by page."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from service.errors import BadRequest
from service.files.store import Directory, Entry, FileStore, Page
from service.server.context import RequestContext
from service.server.responses import Response

__all__ = ["PATH", "Listing", "Render", "as_json", "read_listing", "url_of"]

PATH = "/files/"
"""Where the files are served."""

_LIMIT = 200
_MAX_LIMIT = 1000
_MAX_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Listing:
    """
    A part of a directory that a client asked for.

    Attributes:
        path: Of the directory; empty for the root.
        page: What is in it.
        limit: Most entries of a page.
    """

    path: str
    page: Page
    limit: int

    @property
    def next(self) -> str | None:
        """URL of the next page; None at the end."""
        if not self.page.last:
            return None
        query = urlencode({"after": self.page.last, "limit": self.limit})
        return f"{url_of(self.path, directory=True)}?{query}"


Render = Callable[[RequestContext, Listing], Response]
"""Makes the answer of a listing: the place for a page beside the JSON."""


def as_json(ctx: RequestContext, listing: Listing) -> Response:
    """Return *listing* as JSON: `path`, `items` and `next`."""
    prefix = f"{listing.path}/" if listing.path else ""
    items = [_told(entry, prefix) for entry in listing.page.entries]
    return ctx.write_json({"path": prefix, "items": items, "next": listing.next})


async def read_listing(ctx: RequestContext, store: FileStore, path: str) -> Listing:
    """
    Return the part of a directory that the query (`after`, `limit`) asks for.

    Raises:
        BadRequest: The limit is none.
        NotFound: No directory is there.
    """
    limit = ctx.query.get("limit", str(_LIMIT))
    is_number = limit.isascii() and limit.isdigit() and len(limit) <= _MAX_DIGITS
    if not (is_number and 1 <= int(limit) <= _MAX_LIMIT):
        raise BadRequest(f"limit is a number from 1 to {_MAX_LIMIT}.")
    after = ctx.query.get("after", "")
    page = await store.list(path, after=after, limit=int(limit))
    return Listing(path, page, int(limit))


def url_of(path: str, *, directory: bool = False) -> str:
    """Return the URL path of a file or, with a slash at its end, a directory."""
    end = "/" if directory and path else ""
    return PATH + quote(path) + end


def _told(entry: Entry | Directory, prefix: str) -> dict[str, Any]:
    if isinstance(entry, Directory):
        url = url_of(prefix + entry.name, directory=True)
        return {"name": entry.name, "type": "directory", "url": url}
    modified = datetime.fromtimestamp(int(entry.modified), UTC)
    return {
        "name": entry.name,
        "type": "file",
        "size": entry.size,
        "modified": modified.isoformat().replace("+00:00", "Z"),
        "url": url_of(prefix + entry.name),
    }
