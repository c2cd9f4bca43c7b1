"""Numbers as people read them, in few characters."""

import math

__all__ = [
    "bytes_text",
    "count_text",
    "duration_text",
    "number_text",
    "percent_text",
    "plain",
    "sparkline",
    "uptime_text",
]

NONE = "-"
"""What stands where nothing was told."""

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII_BLOCKS = "_.:-=+*#"

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def plain(text: str) -> str:
    """Return *text* with a `?` for whatever a terminal would obey instead of show."""
    return "".join(each if each.isprintable() else "?" for each in text)


def count_text(value: float | None) -> str:
    """Return a whole number."""
    return NONE if value is None else f"{value:,.0f}"


def number_text(value: float | None) -> str:
    """Return a rate or count: three digits while it is small."""
    if value is None:
        return NONE
    if value and value < 0.1:  # noqa: PLR2004 - else 0.05 would read 0.1
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"  # noqa: PLR2004


def duration_text(seconds: float | None) -> str:
    """Return a time in ms or s."""
    if seconds is None:
        return NONE
    if seconds < 0.0995:  # noqa: PLR2004 - three digits at most
        return f"{seconds * 1000:.1f} ms"
    if seconds < 0.9995:  # noqa: PLR2004 - the same
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.2f} s"


def percent_text(share: float | None) -> str:
    """Return a share as per cent; what is above 0 never reads 0."""
    if share is None:
        return NONE
    if 0 < share < 0.0005:  # noqa: PLR2004 - would read 0.0
        return "<0.1 %"
    return f"{share * 100:.1f} %"


def bytes_text(value: float | None) -> str:
    """Return bytes in the largest binary unit that leaves 1 or more."""
    if value is None:
        return NONE
    step = min(int(math.log(value, 1024)), 4) if value >= 1 else 0
    unit = ("B", "KiB", "MiB", "GiB", "TiB")[step]
    scaled = value / 1024**step
    digits = 1 if step and scaled < 100 else 0  # noqa: PLR2004 - three digits
    return f"{scaled:.{digits}f} {unit}"


def uptime_text(seconds: float | None) -> str:
    """Return a long time by its two largest units."""
    if seconds is None:
        return NONE
    whole = int(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


def sparkline(values: list[float], width: int, *, ascii_only: bool = False) -> str:
    """
    Return the last *width* of *values* as a row of bars, from 0 to the highest.

    Args:
        values: Oldest first, none below 0.
        width: Characters.
        ascii_only: For terminals that show nothing else.
    """
    shown = values[-width:] if width > 0 else []
    highest = max(shown, default=0.0)
    blocks = ASCII_BLOCKS if ascii_only else BLOCKS
    if highest <= 0:
        return blocks[0] * len(shown)
    top = len(blocks) - 1
    return "".join(blocks[min(top, round(each / highest * top))] for each in shown)
