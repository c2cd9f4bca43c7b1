"""
What somebody means who types into the one field of the page: names, or a number.

Numbers are kept as E.164, and people type them as they dial them. So the beginning of a
number is turned into the beginning of E.164 numbers, by the country of the service.
"""

import re

import phonenumbers

__all__ = ["meant"]

MAX_TEXT = 200
"""Characters that are read; no name is longer."""

_NUMBER = re.compile(r"[+(]?[0-9][0-9\s()./-]*|\+")
_MAX_DIGITS = 15


def meant(text: str, *, region: str) -> tuple[str, str] | None:
    """
    Return what to search: words of names, and the beginning of a number with `*`.

    Args:
        text: As it was typed.
        region: Country of numbers without `+`, ISO 3166; empty without.

    Returns:
        One of the two, the other empty, or both empty for all; None where nothing can
        be found, because no number is that long.
    """
    plain = text.strip()[:MAX_TEXT]
    if not _NUMBER.fullmatch(plain):
        return plain, ""
    digits = re.sub("[^0-9]", "", plain)
    if not plain.startswith("+"):
        digits = _international(digits, region)
    if len(digits) > _MAX_DIGITS:
        return None
    return "", f"+{digits}*" if digits else ""


def _international(digits: str, region: str) -> str:
    """Return the digits with the country's code instead of what is dialled before."""
    if digits.startswith("00"):
        return digits[2:]
    if not region:
        return digits
    before = phonenumbers.ndd_prefix_for_region(region, strip_non_digits=True) or ""
    code = phonenumbers.country_code_for_region(region)
    return f"{code}{digits.removeprefix(before)}"
