"""The page's answers, written from the templates beside this module."""

from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from service.errors import RequestError
from service.files.listings import Listing
from service.files.store import Directory, Entry, FileInfo
from service.server.context import RequestContext
from service.server.form_pages import FormPages
from service.server.responses import Response

__all__ = ["COOKIE", "Views"]

COOKIE = "files"
"""Name of the cookie of the page's forms."""

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
_STEP = 1024
_GONE = 404
_VARY = {"vary": "Accept, Cookie"}


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of a listing, as it is shown."""

    name: str
    href: str
    size: str = ""
    modified: str = ""
    is_directory: bool = False


class Views:
    """Renders the templates of the files."""

    def __init__(self) -> None:
        self._pages = FormPages("service.files", cookie=COOKIE, filters={})

    def listing(
        self, ctx: RequestContext, listing: Listing, *, may_write: bool
    ) -> Response:
        """
        Return the page of a directory.

        Args:
            ctx: The request.
            listing: What is there.
            may_write: Whether the visitor may upload and delete.
        """
        uploaded = ctx.query.get("uploaded", "")
        more = {"after": listing.page.last, "limit": listing.limit}
        return self._pages.page(
            ctx,
            "list.html",
            headers=_VARY,
            title=listing.path.rpartition("/")[2],
            crumbs=_crumbs(listing.path),
            rows=[_row(each) for each in listing.page.entries],
            more=listing.page.last and f"?{urlencode(more)}",
            is_later=bool(ctx.query.get("after")),
            may_write=may_write,
            uploaded=int(uploaded) if uploaded in map(str, range(1001)) else 0,
            deleted="deleted" in ctx.query,
        )

    def question(
        self, ctx: RequestContext, path: str, info: FileInfo, *, status: int
    ) -> Response:
        """Return the question whether to delete this version of a file."""
        name = path.rpartition("/")[2]
        return self._pages.page(
            ctx,
            "delete.html",
            status=status,
            headers=_VARY,
            row=_row(Entry(name=name, size=info.size, modified=info.modified)),
            version=info.etag,
            conflict=status,
        )

    def problem(self, ctx: RequestContext, error: RequestError) -> Response:
        """Return *error* as a page."""
        error.headers["vary"] = "Accept, Cookie"
        is_gone = error.status == _GONE
        return self._pages.problem(ctx, error, is_gone=is_gone)


def _crumbs(path: str) -> list[tuple[str, str]]:
    """Return names and ways of the directories above one, and its own."""
    names = ["Files" if path else "All files", *filter(None, path.split("/"))]
    ways = ["../" * up or "./" for up in range(len(names) - 1, -1, -1)]
    return list(zip(names, ways, strict=True))


def _row(entry: Entry | Directory) -> _Row:
    # a name may look like a scheme (`a:b`)
    href = f"./{quote(entry.name)}"
    if isinstance(entry, Directory):
        return _Row(entry.name, f"{href}/", is_directory=True)
    modified = datetime.fromtimestamp(int(entry.modified), UTC)
    return _Row(entry.name, href, _size(entry.size), f"{modified:%Y-%m-%d %H:%M}")


def _size(size: int) -> str:
    """Return bytes in the largest unit that leaves 1 or more."""
    if size == 1:
        return "1 byte"
    scaled: float = size
    for unit in _UNITS[:-1]:
        if scaled < _STEP:
            digits = 1 if unit != _UNITS[0] and scaled < 100 else 0  # noqa: PLR2004 - three digits
            return f"{scaled:.{digits}f} {unit}"
        scaled /= _STEP
    return f"{scaled:.1f} {_UNITS[-1]}"
