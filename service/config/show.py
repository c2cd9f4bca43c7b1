"""
The settings in force for people and programs: every leaf, its value and its origin.

Secrets are masked in every form. Nothing is cut or coloured: a value that does not fit
a terminal is folded, and where the output is no terminal each setting is one line.
"""

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.config.leaves import Leaf, leaves
from service.settings import Settings

__all__ = ["Row", "as_json", "as_table", "as_yaml", "rows"]

_WIDEST = 100_000
"""Columns of an output that is no terminal: no line is ever folded there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """
    One setting as it is shown.

    Attributes:
        leaf: The setting.
        value: Its value in JSON's types, with secrets masked.
        origin: Where the value came from.
    """

    leaf: Leaf
    value: Any
    origin: str

    @property
    def text(self) -> str:
        """The value on one line."""
        plain = isinstance(self.value, str) and self.value and self.value.isprintable()
        return str(self.value) if plain else json.dumps(self.value, ensure_ascii=False)


def rows(settings: Settings, *, origins: Mapping[str, str]) -> list[Row]:
    """Return every setting in the order of the tree."""
    tree = settings.model_dump(mode="json")
    return [
        Row(leaf=leaf, value=_at(tree, leaf), origin=origins[leaf.key])
        for leaf in leaves().values()
    ]


def as_json(shown: Iterable[Row]) -> str:
    """Return an object by dotted key, each with `value`, `origin` and `live`."""
    tree = {
        row.leaf.key: {"value": row.value, "origin": row.origin, "live": row.leaf.live}
        for row in shown
    }
    return json.dumps(tree, indent=2, ensure_ascii=False)


def as_yaml(shown: Iterable[Row]) -> str:
    """Return the tree as a settings file with the origins as comments."""
    lines: list[str] = []
    above: tuple[str, ...] = ()
    for row in shown:
        *parents, name = row.leaf.path
        for depth, parent in enumerate(parents):
            if above[: depth + 1] != tuple(parents[: depth + 1]):
                lines.append(f"{'  ' * depth}{parent}:")
        above = tuple(parents)
        value = json.dumps(row.value, ensure_ascii=False)
        lines.append(f"{'  ' * len(parents)}{name}: {value}  # {row.origin}")
    return "\n".join(lines)


def as_table(shown: Iterable[Row], *, width: int | None = None) -> str:
    """
    Return a table with a line for each setting.

    Args:
        shown: The settings.
        width: Columns of the terminal, to fold long values; None folds nothing.
    """
    text = io.StringIO()
    table = Table(box=None, pad_edge=False)
    for title in ("Setting", "Value", "Origin"):
        table.add_column(title, overflow="fold")
    for row in shown:
        table.add_row(Text(row.leaf.key), Text(row.text), Text(row.origin))
    Console(file=text, width=width or _WIDEST, color_system=None).print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def _at(tree: Mapping[str, Any], leaf: Leaf) -> Any:
    value: Any = tree
    for name in leaf.path:
        value = value[name]
    return value
