"""
What names are compared by: the same letters, whatever their case and accents.

Names are searched and sorted by a folded form, so that `muller` finds `Müller` and a
half-typed Hangul syllable finds the whole one. Only accents (combining classes 200 to
240) are taken away: signs of other scripts, such as the vowels of Devanagari, are part
of the word.

Folding can make text longer, eighteen times for single characters, and an index takes
only so many bytes of a row: both forms are cut.

Source: Unicode Standard Annex 15, and the Core Specification, 5.18 (case folding)
"""

import unicodedata

__all__ = ["MAX_WORD", "fold", "sort_key", "words"]

MAX_WORD = 64
"""Characters of a word that are compared."""

_MAX_KEY = 200
_MAX_WORDS = 16
_ACCENTS = range(200, 241)
_BETWEEN = "\x1f"
"""Sorts before every letter and space, so `Li, Zoe` comes before `Lia, Ann`."""


def fold(text: str) -> str:
    """Return *text* without case, accents and compatibility forms."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    again = unicodedata.normalize("NFKD", plain)
    return "".join(c for c in again if unicodedata.combining(c) not in _ACCENTS)


def words(*texts: str) -> list[str]:
    """Return the folded words of *texts*, each once, in their order."""
    folded = " ".join(map(fold, texts))
    parted = "".join(map(_part, folded)).split()
    return list(dict.fromkeys(word[:MAX_WORD] for word in parted))[:_MAX_WORDS]


def sort_key(last_name: str, first_name: str) -> str:
    """Return what contacts are sorted by: the last name, then the first."""
    names = (fold(name) for name in (last_name, first_name) if name)
    return _BETWEEN.join(names)[:_MAX_KEY]


def _part(character: str) -> str:
    """Return what stands for *character* between words and in them."""
    category = unicodedata.category(character)
    if category == "Cf":  # joiners stand in the middle of words
        return ""
    return character if category[0] in "LMN" else " "
