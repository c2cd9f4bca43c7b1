"""
Contacts on standard output: a table for a terminal, fields between tabs for a pipe.

Nothing that came is obeyed by a terminal, and no value breaks a line of a pipe.
"""

import json
from collections.abc import Sequence
from typing import Any

from service.cli.output import terminal_width, write
from service.cli.phonebook.book import name_of
from service.top.words import plain

__all__ = ["show"]

_FIELDS = ("number", "first_name", "last_name", "email", "note", "id")


def show(contacts: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    """
    Write contacts.

    Args:
        contacts: As the service told them.
        as_json: Whether as a line of JSON each, wherever it goes.
    """
    width = terminal_width()
    if not contacts:
        return
    if as_json:
        write("\n".join(json.dumps(each, ensure_ascii=False) for each in contacts))
    elif width is None:
        write("\n".join(map(_line, contacts)))
    else:
        write(_table(contacts, width))


def _line(contact: dict[str, Any]) -> str:
    return "\t".join(_text(contact, name) for name in _FIELDS)


def _text(contact: dict[str, Any], name: str) -> str:
    """Return a field on one line."""
    return plain(" ".join(str(contact.get(name) or "").split()))


def _table(contacts: Sequence[dict[str, Any]], width: int) -> str:
    from io import StringIO

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", expand=False)
    others = [name for name in ("email", "note") if any(c.get(name) for c in contacts)]
    table.add_column("NUMBER", no_wrap=True, min_width=16)
    table.add_column("NAME", no_wrap=True, max_width=max(width // 3, 8))
    for name in others:  # these give way where there is no room
        table.add_column(name.upper(), min_width=len(name))
    for contact in contacts:
        cells = [_text(contact, "number"), plain(name_of(contact))]
        cells += [_text(contact, name) for name in others]
        table.add_row(*(Text(e, no_wrap=True, overflow="ellipsis") for e in cells))
    out = StringIO()
    Console(file=out, width=width, force_terminal=True, highlight=False).print(table)
    return out.getvalue().rstrip("\n")
