"""
What is wrong with the settings, said so that the reader finds the place at once.

One problem is one line on stderr: `place: key: reason`. Keys and reasons may carry what
a file's author typed, so that they are made printable and short here; values never get
this far, because any of them may be a secret.
"""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from typing_extensions import override

__all__ = ["Problem", "did_you_mean", "printable"]

_LONGEST = 120
"""Characters of a key or reason that are shown; more is noise on a line."""

_NEAR = 0.75
"""How alike two names must be (difflib ratio) for one to be suggested."""

_CHOICES = 3
"""Names that are suggested at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """
    One thing wrong with the settings.

    Attributes:
        place: Where it stands: `/path/config.yaml:12`, `env:HTTPSERVER_LOG__LEVEL`,
            `secrets:login__token_key`, `flag:--set`.
        key: Dotted key of the setting, or empty when it is the whole source.
        reason: Why it can't be used.
    """

    place: str
    key: str = ""
    reason: str

    @override
    def __str__(self) -> str:
        parts = (self.place, self.key, self.reason)
        return ": ".join(printable(part) for part in parts if part)


def printable(text: str) -> str:
    """
    Return *text* as one short line that a terminal can't misread.

    Returns:
        The text with control characters escaped, cut after a few hundred characters.
    """
    shown = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode()
        for char in text[: _LONGEST * 4]
    )
    return shown if len(text) <= _LONGEST * 4 else f"{shown}…"


def did_you_mean(name: str, known: Iterable[str], *, prefix: str = "") -> str:
    """
    Return the end of a reason that names what *name* may have been meant to be.

    Args:
        name: What was written, in any case and with dashes or camel case.
        known: The names there are.
        prefix: Beginning that all of them share, which makes none alike.

    Returns:
        `; did you mean log.level?`, or empty when nothing is near. Where only the field
        is near, not the section, it may name several.
    """
    names = [each.removeprefix(prefix) for each in known]
    written = name.removeprefix(prefix)[:_LONGEST]
    near = _nearest(written, {each: each for each in names}, most=1) or _nearest(
        _last(written), {each: _last(each) for each in names}, most=_CHOICES
    )
    choices = " or ".join(f"{prefix}{each}" for each in near)
    return f"; did you mean {choices}?" if choices else ""


def _nearest(written: str, names: dict[str, str], *, most: int) -> list[str]:
    """Return the keys of *names* whose values are most like what is written."""
    alike = difflib.get_close_matches(
        _plain(written), {_plain(part) for part in names.values()}, n=most, cutoff=_NEAR
    )
    return [name for name, part in names.items() if _plain(part) in alike][:most]


def _last(name: str) -> str:
    """Return the field of a name, without its sections."""
    return re.split(r"\.|__", name)[-1]


def _plain(name: str) -> str:
    """Return letters, digits and dots alone: `idleTimeout` is `idle_timeout`."""
    return "".join(char for char in name.lower() if char.isalnum() or char == ".")
