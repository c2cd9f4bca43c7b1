"""
What each source gives: values of single settings with their origin, and what is wrong.

Every layer is checked by itself and to its end, so that a bad value is found even where
a higher source hides it, and all problems are told at once.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from service.config.leaves import Leaf, leaves, sections
from service.config.problems import Problem, did_you_mean
from service.config.texts import TextError, value_of

if TYPE_CHECKING:
    from service.config.documents import Document

__all__ = [
    "Flag",
    "Layer",
    "file_layer",
    "flags_layer",
    "reason_of",
    "secrets_layer",
]

_SUGGESTIONS = 100
"""Problems of a layer up to which near names are sought, which takes its time."""

Place = Callable[[tuple[Any, ...]], str]
"""Where a part of a value stands, by its path from the top of the source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """
    A setting given on the command line.

    Attributes:
        option: The option, such as `--set` or `--port`.
        key: Dotted key.
        value: Text as `--set` has it, or the typed value of an option.
    """

    option: str
    key: str
    value: Any = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """
    What one source gives.

    Attributes:
        values: Checked values by dotted key.
        origins: Where each of them stands.
        problems: What is wrong in the source.
        whole: False when the source can't be read, so that what it holds is unknown.
    """

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    whole: bool = True

    def give(self, leaf: Leaf, value: Any, *, place: Place, strict: bool) -> None:
        """
        Take *value* for *leaf*, or note why it can't be used.

        Args:
            leaf: The setting.
            value: What the source holds.
            place: Where a part of the value stands.
            strict: Whether the source has types of its own.
        """
        try:
            checked = leaf.check(_plain_numbers(value), strict=strict)
        except ValidationError as error:
            for each in error.errors(include_url=False, include_input=False):
                path = tuple(part for part in each["loc"] if part != "[key]")
                problem = Problem(
                    place=place((*leaf.path, *path)),
                    key=leaf.key + _written(path),
                    reason=reason_of(each),
                )
                self.problems.append(problem)
        else:
            self.values[leaf.key] = checked
            self.origins[leaf.key] = place(leaf.path)

    def give_text(self, leaf: Leaf, text: str, *, place: str) -> None:
        """Take the value that *text* stands for, or note why it can't be used."""
        try:
            value = value_of(leaf, text)
        except TextError as error:
            problem = Problem(place=place, key=leaf.key, reason=str(error))
            self.problems.append(problem)
        else:
            self.give(leaf, value, place=_always(place), strict=leaf.structured)

    def refuse(self, key: str, *, place: str) -> None:
        """Note that *key* is no setting, and at first what may have been meant."""
        few = len(self.problems) < _SUGGESTIONS
        reason = _unknown(key) if few else "no such setting"
        self.problems.append(Problem(place=place, key=key, reason=reason))


def reason_of(error: ErrorDetails) -> str:
    """Return pydantic's message, which holds no input, in our words."""
    told = error["msg"].removeprefix("Value error, ")
    if error["type"] == "too_short" and told.startswith("Value"):  # a SecretStr
        return f"must have at least {error['ctx']['min_length']} characters"
    return told.replace("Input should", "must").replace("should", "must")


def file_layer(content: bytes, *, path: Path) -> Layer:
    """
    Return what a settings file gives.

    Args:
        content: The file.
        path: Where it stands; its suffix tells YAML from TOML.
    """
    # YAML and TOML take their time to import, and many a service has no file
    from service.config.documents import DocumentError, parse

    layer = Layer()
    try:
        document = parse(content, suffix=path.suffix.lower())
    except DocumentError as error:
        place = f"{path}:{error.line}" if error.line else str(path)
        return Layer(problems=[Problem(place=place, reason=error.reason)], whole=False)
    place_of = _places(document, path=path)
    for twice, line in document.repeated:
        key = _dotted(twice)
        problem = Problem(place=f"{path}:{line}", key=key, reason="stands twice")
        layer.problems.append(problem)
    _take(layer, document.values, path=(), place=place_of)
    return layer


def secrets_layer(files: Mapping[str, bytes]) -> Layer:
    """
    Return what the files of a secrets folder give.

    Args:
        files: Content by file name; one trailing line end is not part of a value.
    """
    layer = Layer()
    by_name = {leaf.file_name: leaf for leaf in leaves().values()}
    for name, content in files.items():
        place = f"secrets:{name}"
        if name not in by_name:
            reason = f"no such setting{did_you_mean(name, by_name)}"
            layer.problems.append(Problem(place=place, reason=reason))
            continue
        try:
            text = content.decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            key = by_name[name].key
            layer.problems.append(Problem(place=place, key=key, reason="is not UTF-8"))
            continue
        layer.give_text(by_name[name], text, place=place)
    return layer


def flags_layer(flags: Iterable[Flag]) -> Layer:
    """
    Return what the command line gives.

    Args:
        flags: In their order; of two for one setting the later counts.
    """
    layer = Layer()
    for flag in flags:
        place = f"flag:{flag.option}"
        leaf = leaves().get(flag.key)
        if leaf is None:
            layer.refuse(flag.key, place=place)
        elif isinstance(flag.value, str):
            layer.give_text(leaf, flag.value, place=place)
        else:
            layer.give(leaf, flag.value, place=_always(place), strict=True)
    return layer


def _take(
    layer: Layer, values: Mapping[Any, Any], *, path: tuple[str, ...], place: Place
) -> None:
    """Take the entries of one section of a file."""
    for name, value in values.items():
        inner = (*path, str(name))
        key = ".".join(inner)
        leaf = leaves().get(key)
        if leaf is not None and leaf.path == inner:
            layer.give(leaf, value, place=place, strict=True)
        elif key in sections() and inner == tuple(key.split(".")):
            if isinstance(value, Mapping):
                _take(layer, value, path=inner, place=place)
            elif value is not None:
                at = place((*path, name))
                problem = Problem(place=at, key=key, reason="must be a mapping")
                layer.problems.append(problem)
        else:
            layer.refuse(key, place=place((*path, name)))


def _unknown(key: str) -> str:
    """Why a key can't be used that is no setting."""
    if key in sections():
        return "is a section, not a setting"
    if key in leaves():
        return "must be written as a mapping of mappings, not with a dot"
    parent = next((each for each in leaves() if key.startswith(f"{each}.")), None)
    if parent is not None:
        return f"no such setting; {parent} is set whole"
    known = [*leaves(), *(s for s in sections() if not f"{key}.".startswith(f"{s}."))]
    return f"no such setting{did_you_mean(key, known)}"


def _always(place: str) -> Place:
    return lambda _: place


def _places(document: "Document", *, path: Path) -> Place:
    """Where the parts of a document stand: the line of the nearest key above."""

    def place(inner: tuple[Any, ...]) -> str:
        for end in range(len(inner), 0, -1):
            line = document.lines.get(inner[:end])
            if line is not None:
                return f"{path}:{line}"
        return str(path)

    return place


def _plain_numbers(value: Any) -> Any:
    """Whole floats as integers: tools that know one kind of number write `1e+06`."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case list():
            return [_plain_numbers(item) for item in value]
        case dict():
            return {key: _plain_numbers(item) for key, item in value.items()}
        case _:
            return value


def _written(path: tuple[Any, ...]) -> str:
    """Return the way from a setting to a part of its value: `[1]`, `.uvicorn.error`."""
    return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path)


def _dotted(path: tuple[Any, ...]) -> str:
    return _written(path).removeprefix(".")
