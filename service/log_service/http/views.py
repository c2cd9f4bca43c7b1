"""
Records as people see them: text where it is text, hexadecimal where it is not.

The script of the page (`log.js`) shows those that come later by the same rules.
"""

import re
from datetime import UTC, datetime
from typing import NamedTuple

from service.commitlog import Record
from service.server.form_pages import FormPages

__all__ = ["COOKIE", "RecordView", "Views", "view_of"]

COOKIE = "log"
"""Name of the cookie of the page's forms."""

_MOST_TEXT = 600
_MOST_BYTES = 256
"""Characters, and bytes in hexadecimal, that are shown of a value."""

_NOT_SHOWN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Characters that show nothing, or turn around what stands beside them."""


class Shown(NamedTuple):
    """
    Bytes as they are shown.

    Attributes:
        text: What is shown.
        is_binary: Whether it is hexadecimal.
        size: Bytes that there are.
        is_cut: Whether some of them are not shown.
    """

    text: str
    is_binary: bool
    size: int
    is_cut: bool


class RecordView(NamedTuple):
    """A record as it is shown; times are UTC."""

    offset: int
    time: str
    key: Shown | None
    value: Shown
    headers: list[tuple[str, Shown]]


class Views(FormPages):
    """Renders the templates of the log."""

    def __init__(self) -> None:
        super().__init__("service.log_service.http", cookie=COOKIE, filters={})


def view_of(record: Record) -> RecordView:
    """Return *record* as it is shown."""
    at = datetime.fromtimestamp(record.timestamp / 1000, UTC)
    return RecordView(
        record.offset,
        f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d}",
        None if record.key is None else shown(record.key),
        shown(record.value),
        [(name, shown(value)) for name, value in record.headers],
    )


def shown(value: bytes) -> Shown:
    """Return *value* as text, if it is any."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return _binary(value)
    if _NOT_SHOWN.search(text):
        return _binary(value)
    return Shown(text[:_MOST_TEXT], False, len(value), len(text) > _MOST_TEXT)


def _binary(value: bytes) -> Shown:
    is_cut = len(value) > _MOST_BYTES
    return Shown(value[:_MOST_BYTES].hex(" "), True, len(value), is_cut)
