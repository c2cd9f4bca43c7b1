"""
The request target: split, decoded and checked once, before anything routes by it.

A path that different programs read differently is how access rules are walked around:
dot segments, encoded slashes and backslashes, NUL and bytes that are no UTF-8 are
refused, and repeated slashes count as one. What comes out is what the route tree and
every handler see.

Source: RFC 9112 §3.2 (forms of the target), RFC 3986 §3.3 (path), §5.2.4 (dots).
"""

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

__all__ = ["BadTarget", "Target", "parse_target"]

_PLAIN = re.compile(rb"(?:/[\w~!$&'()*+,;=:@-][\w~!$&'()*+,;=:@.-]*)*/?")
"""Paths that mean the same to everybody: nothing encoded, doubled or dotted."""

_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?#]*)([^#]*)")

_REFUSED = re.compile(r"[\x00-\x1f\x7f\\]|(?:^|/)\.{1,2}(?:/|$)")
_ENCODED_SLASH = re.compile(rb"%(?:2[fF]|5[cC])")
_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_SLASHES = re.compile(r"//+")

_CACHEABLE = 256
"""Bytes up to which a target is worth remembering."""


class BadTarget(ValueError):
    """A target that is refused; the text says why, without an echo."""


class Target(NamedTuple):
    """
    A request target.

    Attributes:
        path: Decoded, slashes merged; begins with a slash, or is `*`.
        raw_path: As it came.
        query: As it came, without the question mark.
        authority: Host and port of the absolute form; None in the others.
    """

    path: str
    raw_path: bytes
    query: bytes
    authority: bytes | None = None


def parse_target(target: bytes) -> Target:
    """
    Return the parts of *target*.

    Raises:
        BadTarget: It is of no known form, or its path is ambiguous.
    """
    return _remembered(target) if len(target) <= _CACHEABLE else _parse(target)


def _parse(target: bytes) -> Target:
    if b"#" in target:
        raise BadTarget("The request target has a fragment.")
    raw_path, _, query = target.partition(b"?")
    if raw_path and _PLAIN.fullmatch(raw_path):
        return Target(raw_path.decode("ascii"), raw_path, query)
    if target == b"*":
        return Target("*", b"*", b"")
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is not None:
        inner = _parse(absolute[2] if absolute[2][:1] == b"/" else b"/" + absolute[2])
        return inner._replace(authority=absolute[1])
    if raw_path[:1] != b"/":
        raise BadTarget("The request target is of no known form.")
    return Target(_decoded(raw_path), raw_path, query)


_remembered = lru_cache(maxsize=1024)(_parse)


def _decoded(raw_path: bytes) -> str:
    """Return the one reading of *raw_path*, or refuse it."""
    if _ENCODED_SLASH.search(raw_path):
        raise BadTarget("The path has an encoded slash or backslash.")
    if _BROKEN_ESCAPE.search(raw_path):
        raise BadTarget("The path has a broken percent escape.")
    try:
        path = unquote_to_bytes(raw_path).decode("utf-8")
    except UnicodeDecodeError:
        raise BadTarget("The path is not UTF-8.") from None
    if _REFUSED.search(path):
        raise BadTarget("The path has a dot segment or a control character.")
    return _SLASHES.sub("/", path)
