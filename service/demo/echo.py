"""`/echo`: the request as the service understood it."""

import json
from typing import Any

from starlette.datastructures import UploadFile

from service.server.context import RequestContext
from service.server.reading import media_type
from service.server.responses import JSON, Response

__all__ = ["echo"]

_MASKED = frozenset({"authorization", "cookie", "proxy-authorization"})
"""Headers that carry secrets: their presence is told, their value is not."""

_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


async def echo(ctx: RequestContext) -> Response:
    """
    Mirror method, path, query, headers and body, and whom a client certificate names.

    Raises:
        BadRequest: The body is not what its type says.
    """
    answer = {
        "method": ctx.method,
        "path": ctx.path,
        "query": {name: ctx.query.getlist(name) for name in ctx.query},
        "headers": _headers(ctx),
        **({"peer": ctx.peer_name} if ctx.peer_name else {}),
        **await _body(ctx),
    }
    # orjson holds no integer beyond 64 bits and no lone surrogate; clients send both
    text = json.dumps(answer, ensure_ascii=False)
    return Response(text.encode("utf-8", "replace"), media_type=JSON)


def _headers(ctx: RequestContext) -> dict[str, str]:
    return {
        name: "***" if name in _MASKED else ", ".join(ctx.headers.getlist(name))
        for name in ctx.headers
    }


async def _body(ctx: RequestContext) -> dict[str, Any]:
    """Return the body under the key of its kind; nothing where there is none."""
    if not await ctx.read_body():
        return {}
    kind = media_type(ctx.headers)
    if kind == JSON or kind.endswith("+json"):
        return {"json": await ctx.read_json()}
    if kind in _FORMS:
        return {"form": await _form(ctx)}
    return {"text": await ctx.read_text()}


async def _form(ctx: RequestContext) -> dict[str, list[Any]]:
    """Return the fields as lists; a file is told by name, type and size."""
    form = await ctx.read_form()
    fields: dict[str, list[Any]] = {}
    try:
        for name, value in form.multi_items():
            fields.setdefault(name, []).append(_field(value))
    finally:
        await form.close()
    return fields


def _field(value: str | UploadFile) -> object:
    if isinstance(value, str):
        return value
    return {
        "filename": value.filename,
        "content_type": value.content_type,
        "size": value.size,
    }
