"""Conditions of a request on the version of what it is about (RFC 9110 §13)."""

from service.errors import RequestError
from service.server.context import RequestContext

__all__ = ["check_version", "is_known"]

_FAILED = 412


def check_version(ctx: RequestContext, etag: str | None) -> None:
    """
    Refuse a change that was not meant for the version that is there.

    Args:
        ctx: The request.
        etag: Tag of that version; None when nothing is there.

    Raises:
        RequestError: 412: `If-Match` names no such version, or `If-None-Match` does.
    """
    match, none = ctx.headers.get("if-match"), ctx.headers.get("if-none-match")
    missed = match is not None and not _names(match, etag, weak=False)
    met = none is not None and _names(none, etag, weak=True)
    if missed or met:
        raise RequestError("It has changed since you read it.", status=_FAILED)


def is_known(ctx: RequestContext, etag: str) -> bool:
    """Whether the client has the version with this tag."""
    return _names(ctx.headers.get("if-none-match", ""), etag, weak=True)


def _names(tags: str, etag: str | None, *, weak: bool) -> bool:
    """Whether a list of tags names *etag*; `*` names whatever is there."""
    if etag is None:
        return False
    for each in tags.split(","):
        tag = each.strip()
        if tag == "*" or (tag.removeprefix("W/") if weak else tag) == etag:
            return True
    return False
