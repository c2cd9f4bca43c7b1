"""
Bodies of typed routes, read as strictly as those of core handlers.

FastAPI takes what Python's JSON reader takes (NaN, members named twice, UTF-16, an
integer too long to print), and turns `true` and `"1"` into the number that a model asks
for. Here the body is checked while FastAPI receives it: the last piece is handed on
only once the whole is strict JSON that fits the route's model without any conversion.
So every route is covered, whichever router it came from, and handlers that read the
request on their own too.

What is wrong is told by its place and kind. Nothing that the client sent is repeated:
neither values nor names that the model does not know.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema
from starlette.exceptions import HTTPException

from service.errors import RequestError, Unprocessable, UnsupportedMediaType
from service.server.context import RequestContext
from service.server.reading import (
    check_coding,
    is_json,
    json_value,
    media_type,
    too_large,
)
from service.server.responses import JSON

__all__ = ["BodyModel", "RefusedBody", "checked_receive", "unprocessable"]

Receive = Callable[[], Awaitable[Any]]

_MAX_ERRORS = 20
"""Errors that one answer tells; a body of a megabyte can hold hundred thousands."""

_ECHOES = {
    "union_tag_invalid": "Input has an unknown tag",
    "uuid_parsing": "Input should be a valid UUID",
}
"""What is said instead of those messages of pydantic that quote the input."""


class RefusedBody(HTTPException):
    """FastAPI's own kind of exception, because it makes a 400 of any other."""

    def __init__(self, error: RequestError) -> None:
        super().__init__(error.status, error.detail, error.headers)
        self.error = error


class BodyModel:
    """
    What the JSON body of one route must fit.

    Args:
        field_info: FastAPI's description of the body: annotation and constraints.
    """

    def __init__(self, field_info: Any) -> None:
        kind: Any = field_info.annotation
        for each in field_info.metadata:
            kind = Annotated[kind, each]
        self._adapter: TypeAdapter[Any] = TypeAdapter(kind)
        try:
            self._names = frozenset(_names(self._adapter.json_schema()))
        except PydanticInvalidForJsonSchema:
            self._names = frozenset()

    @classmethod
    def of(cls, route: Any) -> "BodyModel | None":
        """Return the model of FastAPI's *route*; None when it reads no JSON body."""
        field = getattr(route, "body_field", None)
        if field is None or getattr(field.field_info, "media_type", JSON) != JSON:
            return None
        return cls(field.field_info)

    def check(self, body: bytes) -> None:
        """
        Refuse JSON that does not fit: `1` is no text, `true` no number.

        Raises:
            Unprocessable: It tells where and why, without an echo.
        """
        try:
            self._adapter.validate_json(body, strict=True)
        except ValidationError as error:
            errors = error.errors(
                include_url=False, include_context=False, include_input=False
            )
            raise unprocessable(self._placed(each) for each in errors) from None

    def _placed(self, error: Any) -> dict[str, Any]:
        known = (
            part if isinstance(part, int) or part in self._names else "…"
            for part in error["loc"]
        )
        return {**error, "loc": ("body", *known)}


def _names(schema: Any) -> Iterator[str]:
    """Yield the members that a JSON schema names, wherever in it they stand."""
    if isinstance(schema, Mapping):
        yield from schema.get("properties", ())
        for each in schema.values():
            yield from _names(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from _names(each)


def unprocessable(errors: Iterable[Mapping[str, Any]]) -> Unprocessable:
    """
    Return the 422 that tells what is wrong and where.

    Args:
        errors: Pydantic's errors; only the first `_MAX_ERRORS` are told.
    """
    told: list[dict[str, Any]] = []
    for each in errors:
        if len(told) == _MAX_ERRORS:
            break
        loc = [*each["loc"]]
        if each["type"] == "extra_forbidden":
            loc[-1:] = ["…"]
        msg = _ECHOES.get(each["type"], each["msg"])
        told.append({"loc": loc, "type": each["type"], "msg": msg})
    return Unprocessable("The request's values are wrong.", extensions={"errors": told})


def checked_receive(ctx: RequestContext, model: BodyModel | None) -> Receive:
    """
    Return the ASGI receive that refuses a body which is too long, coded or malformed.

    Args:
        ctx: The request.
        model: What a JSON body must fit; None when the route asks for none.

    Raises:
        ContentTooLarge: The body is announced as too long.
    """
    announced = ctx.raw_header(b"content-length")
    if announced is not None and int(announced) > ctx.body_limit:
        raise too_large(ctx.body_limit)
    return _CheckedBody(ctx, model).receive


class _CheckedBody:
    """One body on its way to FastAPI; JSON is kept until it is whole."""

    __slots__ = ("_chunks", "_ctx", "_model", "_received")

    def __init__(self, ctx: RequestContext, model: BodyModel | None) -> None:
        self._ctx = ctx
        self._model = model
        self._received = 0
        self._chunks: list[bytes] | None = None

    async def receive(self) -> Any:
        message = await self._ctx.receive()
        # once an answer is on its way there is nobody to tell
        if message["type"] == "http.request" and not self._ctx.started:
            try:
                self._take(message)
            except RequestError as error:
                raise RefusedBody(error) from None
        return message

    def _take(self, message: Any) -> None:
        chunk = message.get("body", b"")
        if chunk and not self._received and self._is_json():
            self._chunks = []
        self._received += len(chunk)
        if self._received > self._ctx.body_limit:
            raise too_large(self._ctx.body_limit)
        if self._chunks is None:
            return
        self._chunks.append(chunk)
        if not message.get("more_body", False):
            self._check(b"".join(self._chunks))

    def _is_json(self) -> bool:
        """Whether the body is JSON; refused when it is not and the route asks so."""
        check_coding(self._ctx.raw_header(b"content-encoding"))
        if is_json(media_type(self._ctx.headers)):
            return True
        if self._model is None:
            return False
        # a body without a type too: a page of any origin may send one (CSRF)
        raise UnsupportedMediaType(
            "This route reads application/json.", headers={"accept": JSON}
        )

    def _check(self, body: bytes) -> None:
        json_value(body)
        if self._model is not None:
            self._model.check(body)
