"""What the sections are made of: their base, and the types of their fields."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

__all__ = [
    "Bytes",
    "LogLevel",
    "Origin",
    "PhoneNumber",
    "Port",
    "Seconds",
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

_LIVE: JsonDict = {"live": True}
"""JSON-schema mark of a field that takes effect without a restart."""


def live(default: Any, description: str, **bounds: Any) -> Any:
    """Return a field that takes effect on reload."""
    return Field(default, description=description, json_schema_extra=_LIVE, **bounds)


def is_live(model: type[BaseModel], field: str) -> bool:
    """Whether *field* of *model* takes effect on reload."""
    return model.model_fields[field].json_schema_extra == _LIVE


class Section(BaseModel):
    """A part of the tree: no field besides its own, and none that changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
