"""
Settings files as plain values with the line that each stands on.

YAML is read as a settings file needs it: the core schema of YAML 1.2, where `no` and
`on` are words, `1e+06` (as Helm writes a million) a number and `1:30` a text; without
anchors, aliases and tags, which make a small file large or a safe one clever; and
without a key that stands twice, of which one would be lost. TOML is what the standard
library reads; it tells no lines, so that only the file is known.
"""

import math
import re
import tomllib
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

import yaml
from typing_extensions import override

__all__ = ["Document", "DocumentError", "Path", "parse"]

Path = tuple[Hashable, ...]
"""Keys and indexes from the top of a document."""

_DEEPEST = 32
"""Levels of nesting; the settings need 4, and recursion must end somewhere."""


class DocumentError(Exception):
    """
    A document that can't be read.

    Args:
        reason: What is wrong, without the text that is wrong: it may be a secret.
        line: Where, from 1; None when it is not known.
    """

    def __init__(self, reason: str, *, line: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """
    What a settings file holds.

    Attributes:
        values: Its mapping; empty when the file is.
        lines: Line of each key and list item, from 1; empty where none are known.
        repeated: Keys that stand twice in their mapping, with the later line.
    """

    values: dict[Any, Any]
    lines: dict[Path, int] = field(default_factory=dict)
    repeated: list[tuple[Path, int]] = field(default_factory=list)


def parse(content: bytes, *, suffix: str) -> Document:
    """
    Return the document in *content*.

    Args:
        content: The file, UTF-8.
        suffix: Its suffix in lower case: `.yaml`, `.yml` or `.toml`.

    Raises:
        DocumentError: It is of another kind, not well formed, or no mapping at the top.
    """
    readers: dict[str, Callable[[str], Document]] = {
        ".yaml": _parse_yaml,
        ".yml": _parse_yaml,
        ".toml": _parse_toml,
    }
    if suffix not in readers:
        raise DocumentError("a settings file ends in .yaml, .yml or .toml")
    try:
        return readers[suffix](_text(content))
    except RecursionError:
        raise DocumentError("is nested too deeply") from None


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DocumentError("is not UTF-8", line=line) from None


def _parse_toml(text: str) -> Document:
    try:
        return Document(values=tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        reason, _, position = str(error).partition(" (at ")
        line = re.match(r"line (\d+)", position)
        raise DocumentError(reason, line=int(line[1]) if line else None) from None
    except ValueError:  # a number of thousands of digits, a date that is none
        raise DocumentError("holds a value that can't be read") from None


def _parse_yaml(text: str) -> Document:
    try:
        root = _Composer(text).get_single_node()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise DocumentError("holds a control character", line=line) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = _told(error)
        raise DocumentError(reason, line=mark.line + 1 if mark else None) from None
    document = Document(values={})
    if root is None or root.tag.endswith(":null"):
        return document
    if not isinstance(root, yaml.MappingNode):
        raise DocumentError("must be a mapping at the top", line=_line(root))
    _fill(document.values, root, path=(), document=document)
    return document


def _told(error: yaml.MarkedYAMLError) -> str:
    """Return PyYAML's reason, but a tag: it may be a secret that lacks its quotes."""
    told = ", ".join(part for part in (error.context, error.problem) if part)
    return "tags are not allowed" if "tag handle" in told else told


def _core_resolvers() -> dict[str | None, list[tuple[str, re.Pattern[str]]]]:
    """Return the implicit types of YAML 1.2's core schema by first character."""
    number = r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
    kinds = {
        "null": (r"null|Null|NULL|~|", "nN~\0"),
        "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
        "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
        "float": (
            rf"{number}|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
            "-+.0123456789",
        ),
    }
    table: dict[str | None, list[tuple[str, re.Pattern[str]]]] = {}
    for kind, (pattern, firsts) in kinds.items():
        entry = (f"tag:yaml.org,2002:{kind}", re.compile(rf"(?:{pattern})\Z"))
        for first in firsts:
            table.setdefault(first.strip("\0"), []).append(entry)
    return table


class _Composer(yaml.SafeLoader):
    """PyYAML up to its nodes, which know their lines; values are made by `_value`."""

    yaml_implicit_resolvers = _core_resolvers()
    depth = 0

    @override
    def compose_node(self, parent: Any, index: Any) -> yaml.Node | None:
        peek: Callable[[], yaml.Event] = self.peek_event
        event = peek()
        if isinstance(event, yaml.AliasEvent) or (
            getattr(event, "anchor", None) is not None
        ):
            raise _refused("anchors and aliases are not allowed", event)
        if getattr(event, "tag", None) is not None:
            raise _refused("tags are not allowed", event)
        if self.depth >= _DEEPEST:
            raise _refused("is nested too deeply", event)
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


def _refused(reason: str, event: yaml.Event) -> DocumentError:
    mark = event.start_mark
    return DocumentError(reason, line=mark.line + 1 if mark else None)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _fill(
    target: dict[Any, Any], node: yaml.MappingNode, *, path: Path, document: Document
) -> None:
    """Put the entries of *node* into *target*, and their lines into *document*."""
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise DocumentError("a key must be text", line=_line(key_node))
        key = _scalar(key_node)
        if key in target:
            document.repeated.append(((*path, key), _line(key_node)))
            continue
        document.lines[(*path, key)] = _line(key_node)
        target[key] = _value(value_node, path=(*path, key), document=document)


def _value(node: yaml.Node, *, path: Path, document: Document) -> Any:
    if isinstance(node, yaml.MappingNode):
        mapping: dict[Any, Any] = {}
        _fill(mapping, node, path=path, document=document)
        return mapping
    if isinstance(node, yaml.SequenceNode):
        items = []
        for index, item in enumerate(node.value):
            document.lines[(*path, index)] = _line(item)
            items.append(_value(item, path=(*path, index), document=document))
        return items
    return _scalar(node)


def _scalar(node: yaml.Node) -> Any:
    text = str(node.value)
    match node.tag.rpartition(":")[2]:
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int":
            return _whole_number(text, line=_line(node))
        case "float":
            return _number(text)
        case _:
            return text


def _whole_number(text: str, *, line: int) -> int:
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    try:
        return int(text, base)
    except ValueError:  # more digits than sys.get_int_max_str_digits()
        raise DocumentError("holds a number of too many digits", line=line) from None


def _number(text: str) -> float:
    plain = text.lower()
    if plain.endswith("inf"):
        return -math.inf if plain.startswith("-") else math.inf
    return math.nan if plain.endswith("nan") else float(plain)
