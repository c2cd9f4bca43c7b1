"""
What typed APIs tell in their OpenAPI documents alike: headers of conditions and of
idempotency, and errors as problem documents.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import Header

from service.server.idempotency import HEADER

__all__ = ["IfMatch", "IfNoneMatch", "OnceKey", "problems"]

OnceKey = Annotated[
    str | None,
    Header(
        alias=HEADER,
        description="Any text of the client's choice, one for each thing to do: the "
        "same again is answered as before and does nothing.",
        examples=['"8e03978e-40d5-43e8-bc93-6894a57f9324"'],
    ),
]
"""`Idempotency-Key` of a request."""

IfMatch = Annotated[
    str | None, Header(description="Only if this is the version, by its `ETag`.")
]
"""`If-Match` of a request."""

IfNoneMatch = Annotated[
    str | None, Header(description="Only if this is not the version; `*` for any.")
]
"""`If-None-Match` of a request."""


def problems(
    meanings: Mapping[int, str],
) -> Callable[..., dict[int | str, dict[str, Any]]]:
    """
    Return what describes the errors of a route to OpenAPI, by their statuses.

    Args:
        meanings: What each status means in this API.
    """
    schema = {"type": "object", "required": ["type", "title", "status"]}
    content = {"application/problem+json": {"schema": schema}}

    def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
        return {
            each: {"description": meanings[each], "content": content}
            for each in statuses
        }

    return described
