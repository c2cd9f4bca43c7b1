"""
The reference of all settings, made from the tree.

It has three forms: a settings file to start from, tables for people, and a schema for
programs.
"""

import json
import textwrap
from typing import Any

from pydantic import BaseModel

from service.config.leaves import Leaf, leaves, sections
from service.settings import Settings

__all__ = ["example", "json_schema", "markdown"]

_WIDTH = 80
"""Columns of the settings file."""


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a settings file; `live` marks what is."""
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, **Settings.model_json_schema()}


def example() -> str:
    """Return a settings file that holds every setting at its default."""
    lines = ["---", "# Every setting at its default; keep what you change."]
    for key, model in sections().items():
        names = key.split(".") if key else []
        indent = "  " * len(names)
        if names:
            lines += ["", *_comment(_told(model), indent=indent[2:])]
            lines.append(f"{indent[2:]}{names[-1]}:")
        for leaf in _leaves_of(key):
            lines += _entry(leaf, indent=indent)
    return "\n".join(lines) + "\n"


def markdown() -> str:
    """Return a table of the settings for each section."""
    parts: list[str] = []
    for key, model in sections().items():
        inside = _leaves_of(key)
        if inside:
            parts += [f"### {key}", "", _told(model), "", *_table(inside), ""]
    return "\n".join(parts).rstrip() + "\n"


def _leaves_of(section: str) -> list[Leaf]:
    """Return the settings of a section by its key: a class may stand at two."""
    return [leaf for leaf in leaves().values() if leaf.parent == section]


def _entry(leaf: Leaf, *, indent: str) -> list[str]:
    """Return the lines of one setting in the settings file."""
    live = " Live." if leaf.live else ""
    text = f"{leaf.field.description}{live} ({_type_of(leaf)})"
    value = _default(leaf)
    line = f"{indent}{leaf.name}: {value}"
    lines = _comment(text, indent=indent)
    if len(line) <= _WIDTH:
        return [*lines, line]
    inner = f"{indent}  "
    body = textwrap.fill(
        value[1:-1], _WIDTH, initial_indent=inner, subsequent_indent=inner
    )
    return [*lines, f"{indent}{leaf.name}: {value[0]}", body, f"{indent}{value[-1]}"]


def _comment(text: str, *, indent: str) -> list[str]:
    start = f"{indent}# "
    return textwrap.wrap(text, _WIDTH, initial_indent=start, subsequent_indent=start)


def _table(inside: list[Leaf]) -> list[str]:
    lines = ["| setting | type | default | live | |", "|---|---|---|---|---|"]
    for leaf in inside:
        cells = (
            f"`{leaf.key}`",
            _type_of(leaf),
            f"`{_default(leaf)}`",
            "yes" if leaf.live else "",
            leaf.field.description or "",
        )
        lines.append(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |")
    return lines


def _told(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split())


def _default(leaf: Leaf) -> str:
    return json.dumps(leaf.field.get_default(call_default_factory=False))


def _type_of(leaf: Leaf) -> str:
    """Return what the setting takes, in words."""
    properties = leaf.section.model_json_schema()["properties"]
    return _described(properties[leaf.name])


def _described(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_described(each) for each in schema["anyOf"])
    if "$ref" in schema:
        return "objects"  # the feature's own page has their members
    if "enum" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    match schema["type"]:
        case "array":
            kind = f"list of {_described(schema['items'])}"
        case "object":
            kind = f"mapping of names to {_described(schema['additionalProperties'])}"
        case "string":
            kind = "secret" if schema.get("format") == "password" else "text"
        case "boolean":
            kind = "`true` or `false`"
        case other:
            kind = {"null": "nothing"}.get(other, other)
    return kind + _bounds(schema)


def _bounds(schema: dict[str, Any]) -> str:
    """Return what bounds the value, in words that follow its type."""
    if "minLength" in schema:
        return f" of {schema['minLength']} characters or more"
    low, above, high = (
        schema.get(name) for name in ("minimum", "exclusiveMinimum", "maximum")
    )
    if above is not None:
        return f" above {above:g}" + (f", up to {high:g}" if high is not None else "")
    if low is None:
        return ""
    return f", {low} or more" if high is None else f", {low} to {high}"
