"""
The alphabet of text messages, and how much of a text fits.

A message in the GSM alphabet carries 160 septets, one in any other alphabet 70 UTF-16
units; each part of a longer message 153 or 67. So one typographic quote in an English
sentence more than doubles what it costs: what has a counterpart in the GSM alphabet is
replaced by it, and a text that still has other letters is sent as it is, shorter.

Source: 3GPP TS 23.038, "Alphabets and language-specific information", 6.2.1
"""

import unicodedata
from collections.abc import Callable

__all__ = ["fitting", "single_line"]

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""One septet each."""

EXTENDED = frozenset("^{}\\[~]|€")
"""Two septets each."""

REPLACED = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛`´′", "'"),  # noqa: RUF001 - the look-alikes are meant
        **dict.fromkeys("“”„«»″", '"'),
        **dict.fromkeys("‐‑‒–—―−•", "-"),  # noqa: RUF001 - as above
        **dict(zip("ŁłĐđıŒœ", ("L", "l", "D", "d", "i", "OE", "oe"), strict=True)),
        "…": "...",
        "→": "->",
        "←": "<-",
        "≥": ">=",
        "≤": "<=",
        "≠": "!=",
        "×": "x",  # noqa: RUF001 - as above
        "µ": "u",
        "μ": "u",
        "⁄": "/",  # noqa: RUF001 - as above
        "°": " deg ",
    }
)
"""What stands for characters that decomposition leaves outside of the alphabet."""

_NARROW, _WIDE = 153, 67
"""Septets and UTF-16 units that a part of a long message carries."""


def single_line(text: str) -> str:
    """Return *text* without control and formatting characters, on one line."""
    kept = (
        " " if unicodedata.category(each) in {"Cc", "Zl", "Zp"} else each
        for each in text
        if unicodedata.category(each) not in {"Cf", "Co", "Cs"}
    )
    return " ".join("".join(kept).split())


def fitting(text: str, limit: int) -> str:
    """
    Return *text* in the GSM alphabet where that is possible, cut where it is too long.

    Args:
        text: One line.
        limit: Septets of the longest message, at least 3; of another alphabet as many
            UTF-16 units fit as go into the same number of parts.
    """
    text = text[: limit + 1]  # none is narrower than 1: more would only take time
    plain = "".join(map(_plain, text))
    if all(each in BASIC or each in EXTENDED for each in plain):
        return _cut(plain, limit, end="...", width=_septets)
    return _cut(text, limit * _WIDE // _NARROW, end="…", width=_units)


def _plain(letter: str) -> str:
    """Return what stands for *letter* in the alphabet, or itself."""
    if letter in BASIC or letter in EXTENDED:
        return letter
    decomposed = unicodedata.normalize("NFKD", letter.translate(REPLACED))
    bare = "".join(each for each in decomposed if not unicodedata.combining(each))
    bare = bare.translate(REPLACED)
    return bare if bare and all(each in BASIC for each in bare) else letter


def _cut(text: str, limit: int, *, end: str, width: Callable[[str], int]) -> str:
    if sum(map(width, text)) <= limit:
        return text
    room, kept = limit - sum(map(width, end)), 0
    for each in text:
        room -= width(each)
        if room < 0:
            break
        kept += 1
    return text[:kept].rstrip() + end


def _septets(letter: str) -> int:
    return 1 if letter in BASIC else 2


def _units(letter: str) -> int:
    return 1 if letter <= "\uffff" else 2
