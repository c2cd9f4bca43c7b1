"""Reading what an operator asks for: strictly, and without ever echoing it."""

from typing import Annotated, Any, TypeVar

from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails

from service.control.delays import Document
from service.control.state import FaultRule, Name
from service.errors import Unprocessable
from service.server.context import RequestContext
from service.settings import LogLevel

__all__ = ["MAX_BYTES", "FaultRequest", "LevelRequest", "ReadinessRequest", "read"]

MAX_BYTES = 16_384
"""Largest body; a fault of every kind takes a few hundred bytes."""

LONGEST_FAULT = 3600.0
"""Seconds that a fault may last, so that nobody forgets one."""

LONGEST_OVERRIDE = 86_400.0
"""Seconds that anything else with an end may last."""

T = TypeVar("T", bound=Document)

ExpiresIn = Annotated[float, Field(gt=0, le=LONGEST_OVERRIDE)]


class ReadinessRequest(Document):
    """Switch readiness off or on again; off ends by itself after *expires_in*."""

    ready: bool
    reason: Annotated[str, Field(max_length=200)] = ""
    expires_in: ExpiresIn | None = None


class FaultRequest(FaultRule):
    """A fault, and the seconds that it lasts."""

    expires_in: Annotated[float, Field(gt=0, le=LONGEST_FAULT)]


class LevelRequest(Document):
    """Log levels; what is not named follows the settings."""

    level: LogLevel | None = None
    loggers: dict[Name, LogLevel] = Field(default_factory=dict, max_length=100)
    expires_in: ExpiresIn | None = None


async def read(ctx: RequestContext, kind: type[T]) -> T:
    """
    Return the body as a *kind*.

    Raises:
        UnsupportedMediaType: The body is announced as something else than JSON.
        BadRequest: It is no strict JSON.
        ContentTooLarge: It is longer than `MAX_BYTES`.
        Unprocessable: A value is missing, unknown or wrong; `errors` names each.
    """
    await ctx.read_json()  # duplicate members and the like, which pydantic would take
    try:
        return kind.model_validate_json(await ctx.read_body())
    except ValidationError as error:
        raise Unprocessable(
            "The request's values are wrong.", extensions={"errors": _problems(error)}
        ) from None


def _problems(error: ValidationError) -> list[dict[str, Any]]:
    """Return what is wrong and where, in the form that typed routes give it."""
    found = error.errors(include_url=False, include_input=False)
    return [
        {
            "loc": ["body", *each["loc"]],
            "type": each["type"],
            "msg": _message(each),
        }
        for each in found
    ]


def _message(problem: ErrorDetails) -> str:
    """Return pydantic's message, but for the one kind that echoes the input."""
    if problem["type"] == "union_tag_invalid":
        context = problem["ctx"]
        return (
            f"Input should have {context['discriminator']} {context['expected_tags']}"
        )
    return problem["msg"].removeprefix("Value error, ")
