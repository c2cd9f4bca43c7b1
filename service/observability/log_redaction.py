"""
Secrets masked before a line is made: by the names of fields, and by their look in text.

The second is a net below the first, small on purpose: it finds what is passed around in
the open, in messages and traces of libraries. Each of its patterns takes time that
grows as the text does and no faster: what ends up in a log, a client may have chosen.
"""

import base64
import binascii
import dataclasses
import functools
import re
from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime, time
from enum import Enum
from typing import Any
from uuid import UUID

from service.observability.log_lines import LEAD, as_text

__all__ = ["MASK", "Redactor"]

MASK = "**********"
"""What is written instead; the same as secret settings show."""

_DEEPEST = 32
"""Levels of nesting that are looked through; what is deeper becomes its type's name."""

_MOST = 16 * 1024
"""Values of one line that are looked through: a line has no room for more."""

_PLAIN = (int, float, datetime, date, time, UUID, Enum, type(None))
"""Types that hold no text of anybody's."""

_BEARER = re.compile(r"(?i)\b(bearer)(\s{1,4}+)[\w.~+/=-]{8,}+")
"""RFC 6750 §2.1."""

_BASIC = re.compile(r"(?i)\b(basic\s{1,4}+)([a-z0-9+/_=-]{4,}+)")
"""RFC 7617; whether it is one is seen once it is decoded."""

_PASSWORD = re.compile(r"(://[^\s/?#:@\"<>]*+:)[^\s/?#\"<>]+@")
"""RFC 3986 §3.2.1, up to the last `@`: passwords with one are seen unescaped."""

_JWT = re.compile(r"(?<![\w-])eyJ[\w-]{8,}+\.[\w-]{8,}+\.[\w-]*+")
"""RFC 7519: three parts, of which the first begins with `{"`."""

_NAMED = r"""(?xi)
    ( (?:%s) [\w-]{0,32}+ (?: = | \\?["'] \s{0,4}+ : \s{0,4}+ ) )
    (?: b? \\?" [^"]*+ "? | b? \\?' [^']*+ '? | [\[({] [^\])}]*+ | [^\s"'&,;)\]}]++ )
"""
"""`name=value`, and `"name": value` as JSON and Python write it."""


class Redactor:
    """
    Masks what a log must not tell.

    Args:
        names: What the names of fields with secrets hold; in any case, `-` and `_`
            are the same.

    Concurrency:
        Any thread.
    """

    def __init__(self, names: Collection[str] = ()) -> None:
        self._names = tuple(_normal(each) for each in names if each)
        self.hides = functools.lru_cache(maxsize=1024)(self._hides)
        words = [re.escape(each).replace("_", "[-_]") for each in self._names]
        self._named = re.compile(_NAMED % "|".join(words)) if words else None

    def fields(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """
        Return the fields of a line with what is secret masked, at any depth.

        Args:
            fields: Keys and values of the line; those of its lead keep their values
                but for the event, whose text is looked through.
        """
        look = _Look(self.hides, self.text)
        return {
            key: look.lead(key, value) if key in LEAD else look.member(key, value)
            for key, value in fields.items()
        }

    def text(self, text: str) -> str:
        """
        Return *text* with what looks like a credential masked.

        Args:
            text: Any text; its length may be megabytes, the time grows with it.
        """
        if "://" in text and "@" in text:
            text = _PASSWORD.sub(rf"\1{MASK}@", text)
        if "eyJ" in text:
            text = _JWT.sub(MASK, text)
        if " " not in text and "=" not in text and ":" not in text:
            return text
        small = _normal(text)
        if "bearer" in small:
            text = _BEARER.sub(rf"\1\2{MASK}", text)
        if "basic" in small:
            text = _BASIC.sub(_basic, text)
        if self._named is not None and any(each in small for each in self._names):
            text = self._named.sub(rf"\1{MASK}", text)
        return text

    def _hides(self, name: str) -> bool:
        small = _normal(name)
        return any(each in small for each in self._names)


class _Look:
    """One look through a line, which ends even where the values are circles."""

    def __init__(
        self, hides: Callable[[str], bool], text: Callable[[str], str]
    ) -> None:
        self._hides = hides
        self._text = text
        self._left = _MOST

    def lead(self, key: str, value: Any) -> Any:
        return self._text(as_text(value)) if key == "event" else value

    def member(self, key: object, value: object, levels: int = _DEEPEST) -> Any:
        """Return the value of a field or of a member of one."""
        hidden = self._hides(key if isinstance(key, str) else as_text(key))
        return MASK if hidden else self._value(value, levels)

    def _value(self, value: object, levels: int) -> Any:
        self._left -= 1
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, _PLAIN):
            return value
        members = _members(value)
        if members is None and not isinstance(value, list | tuple):
            return self._text(as_text(value))
        if not levels or self._left < 0:
            return f"<{type(value).__name__}>"
        if members is None:
            return [self._value(each, levels - 1) for each in value]  # type: ignore[attr-defined] # a list or tuple
        return {key: self.member(key, members[key], levels - 1) for key in members}


def _members(value: object) -> Mapping[Any, Any] | None:
    """Return names and values of mappings, dataclasses and named tuples."""
    if isinstance(value, Mapping):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [each.name for each in dataclasses.fields(value)]
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        names = value._fields
    else:
        return None
    return {name: getattr(value, name, None) for name in names if name[:1] != "_"}


def _normal(name: str) -> str:
    return name.lower().replace("-", "_")


def _basic(match: re.Match[str]) -> str:
    """Return the match masked if it is a name and a password, else as it is."""
    text = match[2].rstrip("=")
    try:
        told = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_")
    except binascii.Error:
        return match[0]
    return f"{match[1]}{MASK}" if b":" in told else match[0]
