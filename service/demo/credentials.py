"""Reading name and password from a request: strictly, and without ever echoing them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from service.errors import Unprocessable
from service.server.context import RequestContext
from service.server.reading import media_type

__all__ = ["Credentials", "read_credentials"]

MAX_USERNAME = 256
MAX_PASSWORD = 1024
"""Longest texts in characters; more would only cost hashing and memory."""

_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")

Problem = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Name and password; the password stays out of `repr`."""

    username: str
    password: str = field(repr=False)


async def read_credentials(ctx: RequestContext) -> Credentials:
    """
    Return name and password from a JSON object or a form.

    Raises:
        BadRequest: The body is malformed.
        UnsupportedMediaType: The body is neither JSON nor a form.
        Unprocessable: A field is missing, no text, empty or too long; `errors` says
            which.
    """
    fields = await _fields(ctx)
    errors: list[Problem] = []
    found = Credentials(
        username=_text(fields, "username", MAX_USERNAME, errors),
        password=_text(fields, "password", MAX_PASSWORD, errors),
    )
    if errors:
        raise Unprocessable(
            "The request's values are wrong.", extensions={"errors": errors}
        )
    return found


async def _fields(ctx: RequestContext) -> Mapping[str, object]:
    if media_type(ctx.headers) in _FORMS:
        form = await ctx.read_form()
        await form.close()
        return form
    value = await ctx.read_json()
    if isinstance(value, dict):
        return value
    error = _problem(["body"], "dict_type", "Input should be an object")
    raise Unprocessable(
        "The request's values are wrong.", extensions={"errors": [error]}
    )


def _text(
    fields: Mapping[str, object], name: str, longest: int, errors: list[Problem]
) -> str:
    """Return a field, or add to *errors* what is wrong with it."""
    value = fields.get(name)
    where = ["body", name]
    if name not in fields:
        errors.append(_problem(where, "missing", "Field required"))
    elif not isinstance(value, str) or not _encodable(value):
        errors.append(_problem(where, "string_type", "Input should be text"))
    elif not 0 < len(value) <= longest:
        kind, limits = "string_length", f"1 to {longest} characters"
        errors.append(_problem(where, kind, f"Input should have {limits}"))
    else:
        return value
    return ""


def _problem(where: list[str], kind: str, message: str) -> Problem:
    """Return one entry of `errors`, in the form that typed routes give it."""
    return {"loc": where, "type": kind, "msg": message}


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
