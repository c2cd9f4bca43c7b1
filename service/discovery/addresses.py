"""Endpoints as people write them: `host:port`, and a mapping with more about it."""

from collections.abc import Mapping
from typing import Any

from service.discovery.model import Endpoint

__all__ = ["BadEndpoint", "endpoint_of", "split_address"]

_FIELDS = {"address", "zone", "weight", "priority"}


class BadEndpoint(ValueError):
    """What is written there is no endpoint."""


def split_address(text: str) -> tuple[str, int]:
    """
    Return host and port of `host:port`, `1.2.3.4:80` or `[::1]:80`.

    Raises:
        BadEndpoint: It is none of these.
    """
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    bare = host[1:-1] if bracketed else host
    if not colon or not bare or (":" in bare) != bracketed:
        raise BadEndpoint(f"{text!r} is not host:port")
    if any(char.isspace() or char in "/@?#[]" for char in bare):
        raise BadEndpoint(f"{text!r} is not host:port")
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) <= 65535):  # noqa: PLR2004 - the largest port
        raise BadEndpoint(f"{text!r} has no port from 1 to 65535")
    return bare, int(port)


def endpoint_of(written: object) -> Endpoint:
    """
    Return the endpoint that a text, or a mapping with `address` and maybe `zone`,
    `weight` and `priority`, tells.

    Raises:
        BadEndpoint: It is neither.
    """
    if isinstance(written, str):
        host, port = split_address(written)
        return Endpoint(host, port)
    if not isinstance(written, Mapping):
        raise BadEndpoint(f"{written!r} is neither host:port nor a mapping")
    unknown = {str(each) for each in written} - _FIELDS
    if unknown or not isinstance(written.get("address"), str):
        wrong = ", ".join(sorted(unknown)) or "no address"
        raise BadEndpoint(f"an endpoint has address, zone, weight, priority: {wrong}")
    host, port = split_address(written["address"])
    return Endpoint(
        host,
        port,
        zone=_text(written.get("zone", "")),
        weight=_number(written.get("weight", 1)),
        priority=int(_number(written.get("priority", 0) or 0, least=0)),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise BadEndpoint(f"zone {value!r} is not a text")
    return value


def _number(value: Any, *, least: float = 1e-3) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not least <= value <= 1e6:  # noqa: PLR2004 - a bound, not NaN
        raise BadEndpoint(f"{value!r} is not a number from {least:g} to 1000000")
    return float(value)
