"""What the sections are made of: their base, and the types of their fields."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr
from pydantic.config import JsonDict

__all__ = [
    "Bytes",
    "HttpUrl",
    "LogLevel",
    "Origin",
    "PhoneNumber",
    "Port",
    "Seconds",
    "SecretHeaders",
    "Section",
    "Token",
    "is_live",
    "live",
]

LogLevel = Literal["debug", "info", "warning", "error", "critical"]
Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
Bytes = Annotated[int, Field(ge=0)]
Token = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]
Origin = Annotated[str, Field(pattern=r"^(\*|[a-z][a-z0-9+.-]*://[a-z0-9._\[\]:-]+)$")]
PhoneNumber = Annotated[str, Field(pattern=r"^\+[1-9][0-9]{6,14}$")]
HttpUrl = Annotated[
    str,
    Field(
        pattern=r"^https?://([^\s/?#@:\[\]]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?"
        r"(/[^\s#@]*)?$"
    ),
]
"""A URL without a user and a password in it: it is shown where settings are."""

_HEADER_NAME = re.compile(r"[A-Za-z0-9_.-]+")
"""What both HTTP and gRPC take."""

_LIVE: JsonDict = {"live": True}
"""JSON-schema mark of a field that takes effect without a restart."""


def live(default: Any, description: str, **bounds: Any) -> Any:
    """Return a field that takes effect on reload."""
    return Field(default, description=description, json_schema_extra=_LIVE, **bounds)


def is_live(model: type[BaseModel], field: str) -> bool:
    """Whether *field* of *model* takes effect on reload."""
    return model.model_fields[field].json_schema_extra == _LIVE


def _sendable(headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
    """Refuse what no header carries; who sends it would tell all of it in an error."""
    for name, value in headers.items():
        text = value.get_secret_value()
        if not _HEADER_NAME.fullmatch(name):
            msg = f"{name!r} is no name of a header"
            raise ValueError(msg)
        if not (text.isascii() and text.isprintable() and text == text.strip()):
            msg = f"{name} must be printable ASCII without spaces at its ends"
            raise ValueError(msg)
    return headers


SecretHeaders = Annotated[dict[str, SecretStr], AfterValidator(_sendable)]
"""Headers by name, with values that are shown nowhere."""


class Section(BaseModel):
    """A part of the tree: no field besides its own, and none that changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
