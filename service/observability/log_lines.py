"""
One log line from its fields: JSON for machines, `key=value` for people.

A line has, in this order: `timestamp` (RFC 3339 in UTC, milliseconds), `level`,
`logger`, `event`, and then its own fields. Whatever the fields hold, one line comes of
it, and no value can pass for another line: clients choose paths and headers, and what
they choose is read in terminals and by programs (CWE-117).
"""

import functools
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson

__all__ = [
    "LEAD",
    "LONGEST",
    "arranged",
    "as_text",
    "json_line",
    "text_line",
    "timestamp",
]

LEAD = frozenset({"timestamp", "level", "logger", "event"})
"""Keys that begin each line; a field of the same name gets an underscore behind it."""

LONGEST = 16 * 1024 - 1
"""Bytes of a line without its end; of a longer one the long values are cut.

Container runtimes cut at 16 KiB wherever that falls, and half a line is no JSON.
Source: containerd's `max_container_log_line_size`, Docker's `maxLineSize`."""

_LEAST = 64
"""Characters of a value that are always kept, or else the whole field goes."""

_DEEPEST = 8
"""Levels of nesting that are kept of what orjson refuses: it may be a circle."""

_WIDEST = 63
"""Bits of an integer that orjson writes, besides its sign."""

_BARE = re.compile(r"[^\s\"'=\\]+")
"""Text that needs no quotes in a line for people."""

_MILLISECONDS = tuple(f".{each:03d}Z" for each in range(1000))
"""Ends of timestamps: a look-up costs half of a formatting."""

_UNSEEN = re.compile("[\x7f-\x9f\u2028\u2029]")
"""What JSON allows in a string and a terminal or a line reader may act upon: DEL, the
C1 controls (U+009B begins an escape sequence) and Unicode's own line ends."""


def timestamp(seconds: float) -> str:
    """
    Return a time as RFC 3339 in UTC, in milliseconds.

    Args:
        seconds: Seconds since the Unix epoch.
    """
    whole = int(seconds)
    return _to_the_second(whole) + _MILLISECONDS[int((seconds - whole) * 1000)]


@functools.lru_cache(maxsize=4)
def _to_the_second(seconds: int) -> str:
    """Return all but the fraction: the same for every line of one second."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def arranged(lead: dict[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return *lead* followed by *fields*, which can't overwrite it.

    Args:
        lead: The keys that begin each line, in their order; it is extended.
        fields: The line's own fields.
    """
    if LEAD.isdisjoint(fields):
        lead.update(fields)
    else:
        lead |= {f"{key}_" if key in LEAD else key: fields[key] for key in fields}
    return lead


def json_line(fields: Mapping[str, Any]) -> bytes:
    """
    Return one line of JSON, without its end.

    What JSON can't say becomes its text; so does a secret, which masks itself.

    Args:
        fields: Keys and values, in the order of the line.
    """
    line = _json(fields)
    return line if len(line) <= LONGEST else _shortened(fields, _json, len(line))


def text_line(fields: Mapping[str, Any]) -> bytes:
    """
    Return `timestamp level logger event key=value …`, without its end.

    A trace follows on lines of its own, each set off by a bar.

    Args:
        fields: Keys and values, in the order of the line.
    """
    line = _words(fields)
    return line if len(line) <= LONGEST else _shortened(fields, _words, len(line))


def _json(fields: Mapping[str, Any]) -> bytes:
    try:
        line = orjson.dumps(fields, default=as_text)
    except TypeError:
        # a key that is no text, a lone surrogate, more than 64 bits, a circle
        line = orjson.dumps(_speakable(fields, _DEEPEST), default=as_text)
    if line.isascii() and b"\x7f" not in line:
        return line
    return _UNSEEN.sub(lambda match: f"\\u{ord(match[0]):04x}", line.decode()).encode()


def _words(fields: Mapping[str, Any]) -> bytes:
    words, trace = [], []
    for key, value in fields.items():
        if key in LEAD:
            words.append(_quoted(as_text(value)))
        elif key in ("exception", "stack"):
            trace += as_text(value).split("\n")
        else:
            words.append(f"{_quoted(key)}={_quoted(as_text(value))}")
    lines = [" ".join(words), *(f"  | {_visible(each)}" for each in trace)]
    return "\n".join(lines).encode()


def _shortened(
    fields: Mapping[str, Any], render: Callable[[Mapping[str, Any]], bytes], whole: int
) -> bytes:
    """
    Return a line that fits, and says how long it was: `truncated`, in bytes.

    The longest values are cut first; where cut values don't help, because there are
    too many, only the lead is left.
    """
    limit = LONGEST // 2
    while limit >= _LEAST:
        cut = {_cut(as_text(key), limit): _cut(fields[key], limit) for key in fields}
        line = render({**cut, "truncated": whole})
        if len(line) <= LONGEST:
            return line
        limit //= 2
    kept = LEAD | {"dropped"}  # or the count of lines that were left out were lost
    lead = {key: _cut(fields[key], _LEAST) for key in fields if key in kept}
    return render({**lead, "truncated": whole})


def _cut(value: object, limit: int) -> Any:
    """Return *value*, or begin and end of its text: a trace tells most at its end."""
    text = as_text(value)
    if len(text) <= limit:
        return value
    half = limit // 2
    return f"{text[:half]}…[{len(text) - 2 * half} characters cut]…{text[-half:]}"


def as_text(value: object) -> str:
    """
    Return *value* as text, whatever its class thinks of that.

    Args:
        value: Anything; of exceptions and bytes the text is what Python writes.
    """
    try:
        if isinstance(value, BaseException | bytes):
            return repr(value)
        return str(value)
    except Exception:  # noqa: BLE001 - a line is written even of a value that fails
        return f"<{type(value).__name__}>"


def _speakable(value: object, levels: int) -> Any:
    """Return *value* with all that orjson refuses replaced by text."""
    if isinstance(value, Mapping) and levels:
        return {_sound(as_text(k)): _speakable(v, levels - 1) for k, v in value.items()}
    if isinstance(value, list | tuple) and levels:
        return [_speakable(each, levels - 1) for each in value]
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int) and value.bit_length() <= _WIDEST:
        return value
    return _sound(as_text(value))


def _sound(text: str) -> str:
    """Return *text* with its lone surrogates, which UTF-8 can't say, spelled out."""
    return text.encode("utf-8", "backslashreplace").decode()


def _quoted(text: str) -> str:
    if _BARE.fullmatch(text) and text.isprintable():
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_visible(escaped)}"'


def _visible(text: str) -> str:
    """Return *text* with everything that is not plain to see spelled out."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode()
        for each in text
    )
