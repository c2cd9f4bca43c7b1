"""
The `Host` of a request: whether it is one, and whether it is served here.

Source: RFC 9112 §3.2, RFC 3986 §3.2.2; RFC 9110 §15.5.20 (421).
"""

import re
from collections.abc import Iterable
from functools import lru_cache

__all__ = ["host_name", "is_host", "is_served"]

_HOST = re.compile(rb"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


@lru_cache(maxsize=64)  # a service has few, and each request names one
def is_host(value: bytes) -> bool:
    """Return whether *value* is a host with or without a port."""
    return _HOST.fullmatch(value) is not None


def host_name(value: str) -> str:
    """Return the name or address in a `Host` value, lower case and without its port."""
    name, _, port = value.rpartition(":")
    without_port = name if name and port.isdigit() else value
    return without_port.lower().rstrip(".")


def is_served(value: str, patterns: Iterable[str]) -> bool:
    """
    Return whether a `Host` value is one of *patterns*.

    Args:
        value: Host with or without a port.
        patterns: Names such as `example.com`, or `*.example.com` for any below it.
    """
    name = host_name(value)
    return any(
        name.endswith(each[1:].lower()) if each[:2] == "*." else name == each.lower()
        for each in patterns
    )
