"""
The leaves of the settings tree: every single setting with its names in each source.

A leaf is a field that is not a section. A source sets it whole: a list or mapping of a
higher source takes the place of a lower one's, it is not mixed with it, so that the
origin of a leaf is one place.
"""

import functools
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, SecretStr, TypeAdapter
from pydantic.fields import FieldInfo

from service.settings import Settings, is_live

__all__ = ["ENVIRONMENT_PREFIX", "Leaf", "leaves", "sections"]

ENVIRONMENT_PREFIX = "HTTPSERVER_"
"""How the name of every variable of ours begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """
    One setting.

    Attributes:
        key: Dotted key, such as `server.admin.port`.
        section: The settings class that holds it.
        name: Its field there.
    """

    key: str
    section: type[BaseModel]
    name: str

    @property
    def path(self) -> tuple[str, ...]:
        """The key as its names."""
        return tuple(self.key.split("."))

    @property
    def parent(self) -> str:
        """Dotted key of the section that it stands in."""
        return self.key.rpartition(".")[0]

    @property
    def file_name(self) -> str:
        """Its name in the secrets folder, such as `login__token_key`."""
        return "__".join(self.path)

    @property
    def variable(self) -> str:
        """Its environment variable, such as `HTTPSERVER_LOG__LEVEL`."""
        return ENVIRONMENT_PREFIX + self.file_name.upper()

    @property
    def field(self) -> FieldInfo:
        """Its declaration."""
        return self.section.model_fields[self.name]

    @property
    def live(self) -> bool:
        """Whether it takes effect on reload."""
        return is_live(self.section, self.name)

    @property
    def secret(self) -> bool:
        """Whether its value, or a part of it, must never be shown."""
        return SecretStr in _types_in(self.field.annotation)

    @property
    def structured(self) -> bool:
        """Whether it is a list or mapping: JSON where a source holds text alone."""
        return any(get_origin(choice) in {list, dict} for choice in self._choices)

    @property
    def textual(self) -> bool:
        """Whether it is text as it stands, which may be empty."""
        return any(choice in {str, SecretStr} for choice in self._choices)

    @property
    def _choices(self) -> tuple[Any, ...]:
        """The types it may have: those of a union, or the one."""
        annotation = self.field.annotation
        united = get_origin(annotation) in {types.UnionType, typing.Union}
        return get_args(annotation) if united else (annotation,)

    def check(self, value: Any, *, strict: bool) -> Any:
        """
        Return *value* as the type of this setting.

        Args:
            value: What a source holds.
            strict: True for a source with types of its own, where `true` and `"8"` are
                no numbers; false for text.

        Raises:
            pydantic.ValidationError: It does not fit.
        """
        adapter = _adapter(self.section, self.name)
        return adapter.validate_python(value, strict=strict)


@functools.cache
def leaves() -> dict[str, Leaf]:
    """Return every setting by its dotted key, in the order of the tree."""
    return {
        key: Leaf(key=key, section=model, name=name)
        for parent, model in sections().items()
        for name in model.model_fields
        if (key := _join(parent, name)) not in sections()
    }


@functools.cache
def sections() -> dict[str, type[BaseModel]]:
    """Return every section's class by its dotted key, the root (empty key) first."""
    return dict(_sections("", Settings))


def _sections(
    key: str, model: type[BaseModel]
) -> Iterator[tuple[str, type[BaseModel]]]:
    yield key, model
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _sections(_join(key, name), kind)


def _join(parent: str, name: str) -> str:
    return f"{parent}.{name}" if parent else name


@functools.cache
def _adapter(section: type[BaseModel], name: str) -> TypeAdapter[Any]:
    """Return what checks one field apart from its section."""
    field = section.model_fields[name]
    annotated: Any = field.annotation
    for bound in field.metadata:
        annotated = Annotated[annotated, bound]
    return TypeAdapter(annotated, config=ConfigDict(allow_inf_nan=False))


def _types_in(annotation: Any) -> set[Any]:
    """Every type that stands anywhere in *annotation*."""
    if get_origin(annotation) is Literal:
        return {annotation}
    return {annotation}.union(*(_types_in(each) for each in get_args(annotation)))
