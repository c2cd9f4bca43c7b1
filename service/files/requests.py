"""What a request for a file says of versions, digests and dates, and who sent it."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime

from service.errors import BadRequest, Forbidden
from service.files.conditions import Condition, names, tags
from service.files.digests import Digests, parse_digests
from service.files.store import FileInfo
from service.server.context import RequestContext
from service.server.form_origin import origin_host
from service.server.reading import ClientDisconnected

__all__ = [
    "body_pieces",
    "check_origin",
    "condition_of",
    "digests_of",
    "http_date",
    "is_known",
    "range_applies",
]

_DIGEST_FIELDS = ("repr-digest", "content-digest")


async def body_pieces(
    ctx: RequestContext, count: Callable[[int], None]
) -> AsyncIterator[bytes]:
    """
    Yield the body as it comes.

    Args:
        ctx: The request.
        count: Told how many bytes each piece has.

    Raises:
        ClientDisconnected: The client left before its end.
    """
    more = True
    while more:
        message = await ctx.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        body = message.get("body", b"")
        more = message.get("more_body", False)
        if body:
            count(len(body))
            yield body


def condition_of(ctx: RequestContext) -> Condition:
    """Return which version a change is meant for (RFC 9110 §13.1)."""
    return Condition(
        match=_tags(ctx, "if-match"),
        none_match=_tags(ctx, "if-none-match"),
        unmodified_since=_seconds(ctx.headers.get("if-unmodified-since")),
    )


def is_known(ctx: RequestContext, info: FileInfo) -> bool:
    """Whether the client has this version already (RFC 9110 §13.2.2)."""
    none = _tags(ctx, "if-none-match")
    if none is not None:
        return names(none, info.etag, weak=True)
    since = _seconds(ctx.headers.get("if-modified-since"))
    return since is not None and int(info.modified) <= since


def _tags(ctx: RequestContext, field: str) -> tuple[str, ...] | None:
    """Return the tags of all lines of a field (RFC 9110 §5.3); None without one."""
    lines = ctx.headers.getlist(field)
    return tags(", ".join(lines)) if lines else None


def range_applies(ctx: RequestContext, info: FileInfo) -> bool:
    """Whether `Range` is meant for this version: `If-Range` names it (§13.1.5)."""
    wanted = ctx.headers.get("if-range")
    if wanted is None:
        return True
    return wanted.strip() in (info.etag, http_date(info.modified))


def digests_of(
    ctx: RequestContext, fields: tuple[str, ...] = _DIGEST_FIELDS
) -> Digests:
    """
    Return the digests that the content must have.

    Args:
        ctx: The request.
        fields: Names of the headers that tell them.

    Raises:
        BadRequest: A field can't be read, or two of them disagree.
    """
    found: dict[str, bytes] = {}
    for field in fields:
        value = ", ".join(ctx.headers.getlist(field))
        try:
            told = parse_digests(value) if value else {}
        except ValueError as error:
            raise BadRequest(f"{field.title()}: {error}.") from None
        if any(found.get(name, digest) != digest for name, digest in told.items()):
            raise BadRequest("The digests of the request disagree.")
        found |= told
    return found


def check_origin(ctx: RequestContext, allowed: list[str]) -> None:
    """
    Refuse a change that a page of another site makes with its visitor's browser.

    Args:
        ctx: The request.
        allowed: Other origins whose pages may, `*` for any.

    Raises:
        Forbidden: It is one of another site.
    """
    origin = ctx.headers.get("origin")
    if origin is None or origin in allowed or "*" in allowed:
        return
    if (origin_host(origin) or "").lower() != ctx.headers.get("host", "").lower():
        raise Forbidden("Pages of other sites may not change files.")


def http_date(seconds: float) -> str:
    """Return a time in seconds since 1970 as headers have it, to the whole second."""
    return formatdate(int(seconds), usegmt=True)


def _seconds(date: str | None) -> int | None:
    """Return a header's date in seconds since 1970; None when it is none."""
    if date is None:
        return None
    try:
        parsed: datetime = parsedate_to_datetime(date)
        return int(parsed.replace(tzinfo=parsed.tzinfo or UTC).timestamp())
    except (ValueError, OverflowError):
        return None
