"""
The header fields and problem types of uploads that can be resumed.

Source: draft-ietf-httpbis-resumable-upload-12 §4, §6; RFC 9651 (structured fields)
"""

import re

from service.errors import BadRequest, RequestError
from service.files.listings import PATH
from service.files.paths import RESERVED
from service.server.context import RequestContext
from service.server.exchange import Exchange
from service.settings import FileSettings

__all__ = [
    "MEDIA_TYPE",
    "UPLOADS",
    "announce",
    "completes",
    "flag",
    "limit_field",
    "offset_of",
    "said_length",
    "upload_problem",
    "upload_url",
]

MEDIA_TYPE = "application/partial-upload"

UPLOADS = f"{PATH}{RESERVED}/"
"""Where the resources of uploads are."""

_VERSION = "8"
"""Interop version of the draft: an interim answer to another would be misread."""

_RESUMPTION_SUPPORTED = 104
_TYPES = "https://iana.org/assignments/http-problem-types#"
_INTEGER = re.compile(r"[0-9]{1,15}")
_FLAGS = {"?1": True, "?0": False}


def completes(ctx: RequestContext) -> bool | None:
    """Whether the request's content is the last; None when it says nothing of it."""
    item, _, _parameters = ctx.headers.get("upload-complete", "").partition(";")
    return _FLAGS.get(item.strip())


def offset_of(ctx: RequestContext) -> int:
    """
    Return where the request's content begins.

    Raises:
        BadRequest: It does not say.
    """
    offset = _integer(ctx, "upload-offset")
    if offset is None:
        raise BadRequest("Upload-Offset says where the content begins, in bytes.")
    return offset


def said_length(
    ctx: RequestContext, *, complete: bool, offset: int, known: int | None = None
) -> int | None:
    """
    Return the bytes of the whole file, as far as anybody has said.

    Args:
        ctx: The request.
        complete: Whether its content is the last.
        offset: Where it begins.
        known: What an earlier request said.

    Raises:
        RequestError: 400: what was said does not fit together.
    """
    said = {known, _integer(ctx, "upload-length")}
    content = _integer(ctx, "content-length")
    if complete and content is not None:
        said.add(offset + content)
    said.discard(None)
    if len(said) > 1:
        raise upload_problem(
            "inconsistent-upload-length", "The lengths of the upload disagree."
        )
    return said.pop() if said else None


def upload_problem(
    kind: str, detail: str, *, status: int = 400, **more: object
) -> RequestError:
    """Return a problem of one of the draft's types, with *more* members."""
    members = {"type": _TYPES + kind} | {
        name.replace("_", "-"): value for name, value in more.items()
    }
    return RequestError(detail, status=status, extensions=members)


def limit_field(settings: FileSettings) -> str:
    """Return the value of `Upload-Limit`."""
    age = int(settings.stopped_upload_ttl)
    return f"max-size={settings.max_upload_bytes}, max-age={age}"


def upload_url(upload_id: str) -> str:
    """Return the URL path of an upload's resource."""
    return UPLOADS + upload_id


def announce(ctx: RequestContext, url: str, limit: str) -> None:
    """Tell a client that understands it where its upload can be resumed (104)."""
    version = ctx.headers.get("upload-draft-interop-version", "").strip()
    if version == _VERSION and isinstance(ctx.send, Exchange):
        headers = {
            "upload-draft-interop-version": _VERSION,
            "location": url,
            "upload-limit": limit,
        }
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        ctx.send.inform(_RESUMPTION_SUPPORTED, pairs)


def flag(*, complete: bool) -> str:
    """Return the value of `Upload-Complete`."""
    return "?1" if complete else "?0"


def _integer(ctx: RequestContext, name: str) -> int | None:
    value = ctx.headers.get(name, "").strip()
    return int(value) if _INTEGER.fullmatch(value) else None
