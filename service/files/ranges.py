"""
Which bytes of a file a request wants: `Range`, read with suspicion.

Few ranges that are far apart are what downloads and players need. Many small or
overlapping ones multiply the work of one request, so that neighbours are made into one,
and more than `MAX_RANGES` are refused.

Source: RFC 9110 §14.1.2, §14.2, §15.3.7, §17.15
"""

import re
from typing import NamedTuple

__all__ = ["MAX_RANGES", "Part", "Unsatisfiable", "wanted_parts"]

MAX_RANGES = 16
"""Ranges in one request."""

_GAP = 80
"""Bytes between two parts below which it costs less to send them too."""

_SPEC = re.compile(r"([0-9]*)-([0-9]*)")
_DIGITS = 20
"""Of a number: one with more is greater than any file."""


class Part(NamedTuple):
    """
    A part of a file.

    Attributes:
        start: First byte, from 0.
        stop: Behind the last byte.
    """

    start: int
    stop: int


class Unsatisfiable(Exception):
    """No byte of the file is in the ranges, or they are too many."""


def wanted_parts(header: str | None, size: int) -> list[Part] | None:
    """
    Return the parts of a file that `Range` asks for.

    Args:
        header: Its value, or None.
        size: Bytes of the file.

    Returns:
        Parts in the order of the file that neither touch nor overlap; None for the
        whole file: none were asked for, or in a way that nobody understands.

    Raises:
        Unsatisfiable: All of them lie behind the end, or they are too many.
    """
    unit, equals, specs = (header or "").partition("=")
    if unit.strip().lower() != "bytes" or not equals:
        return None
    parts: list[Part] = []
    asked = 0
    for each in specs.split(","):
        spec = each.strip(" \t")
        if not spec:
            continue
        match = _SPEC.fullmatch(spec)
        if match is None or not (match[1] or match[2]):
            return None
        asked += 1
        first, last = match[1], match[2]
        if first and last and _number(last) < _number(first):
            return None
        part = _part(first, last, size)
        if part.start < part.stop:
            parts.append(part)
    if not asked:
        return None
    if not parts or asked > MAX_RANGES:
        raise Unsatisfiable
    return _joined(parts)


def _part(first: str, last: str, size: int) -> Part:
    if not first:
        return Part(max(0, size - _number(last)), size)
    return Part(_number(first), min(_number(last) + 1, size) if last else size)


def _number(digits: str) -> int:
    return int(digits.lstrip("0")[:_DIGITS] or "0")


def _joined(parts: list[Part]) -> list[Part]:
    """Return *parts* in order, neighbours made one."""
    found: list[Part] = []
    for part in sorted(parts):
        if found and part.start <= found[-1].stop + _GAP:
            found[-1] = Part(found[-1].start, max(found[-1].stop, part.stop))
        else:
            found.append(part)
    return found
