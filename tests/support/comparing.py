"""How two long sequences differ, told in one line."""

from collections import Counter
from collections.abc import Sequence
from itertools import islice

__all__ = ["difference"]

_SHOWN = 3


def difference(found: Sequence[str], wanted: Sequence[str]) -> str:
    """Return what is missing, too many and out of order; empty when nothing is."""
    if list(found) == list(wanted):
        return ""
    missing = Counter(wanted) - Counter(found)
    surplus = Counter(found) - Counter(wanted)
    pairs = zip(found, wanted, strict=False)
    shorter = min(len(found), len(wanted))
    first = next((n for n, (one, other) in enumerate(pairs) if one != other), shorter)
    return (
        f"{len(found)} instead of {len(wanted)};"
        f" {missing.total()} missing {_some(missing)};"
        f" {surplus.total()} too many {_some(surplus)};"
        f" from {first} on {_cut(found, first)} instead of {_cut(wanted, first)}"
    )


def _some(counts: Counter[str]) -> list[str]:
    return [_short(each) for each in islice(counts.elements(), _SHOWN)]


def _cut(sequence: Sequence[str], start: int) -> list[str]:
    return [_short(each) for each in sequence[start : start + _SHOWN]]


def _short(text: str) -> str:
    return text[:60]
