"""
Cookies that are right by default (RFC 6265bis): written with every protection that the
connection allows, read without a guess.

Nothing of the service itself needs a cookie; this is for features that do.
"""

import re
from http.cookies import Morsel
from typing import Any, Literal

__all__ = ["cookie_header", "read_cookies"]

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*")
_PATH = re.compile(r"/[\x20-\x3a\x3c-\x7e]*")

_LONGEST = 4096
"""Bytes of name and value that browsers keep (RFC 6265bis §5.6)."""

_OLDEST = 400 * 86_400
"""Seconds after which browsers forget any cookie (RFC 6265bis §5.5)."""


def cookie_header(
    name: str,
    value: str,
    *,
    https: bool,
    path: str = "/",
    max_age: int | None = None,
    same_site: Literal["Strict", "Lax", "None"] = "Lax",
    http_only: bool = True,
) -> str:
    """
    Return the value of `Set-Cookie`; for this host alone, as no domain is ever named.

    Args:
        name: A token; `__Host-` and `__Secure-` make it `Secure` whatever *https* is.
        value: Visible ASCII without quotes, commas, semicolons and backslashes.
        https: Whether the client came over HTTPS; the cookie is `Secure` then.
        path: Where it is sent, and below.
        max_age: Seconds to live, at most 400 days; 0 deletes it, None is the session.
        same_site: Whether it goes along from pages of other sites.
        http_only: Whether scripts can't see it.

    Raises:
        ValueError: A part can't stand in a cookie, or browsers would drop it.
    """
    secure = https or name.lower().startswith(("__host-", "__secure-"))
    wrong = {
        "name": not _NAME.fullmatch(name),
        "value": not _VALUE.fullmatch(value),
        "size": len(name) + len(value) > _LONGEST,
        "path": not _may_have_path(name, path),
        "max_age": max_age is not None and not 0 <= max_age <= _OLDEST,
        "same_site": same_site == "None" and not secure,
    }
    if any(wrong.values()):
        msg = f"not a cookie: {', '.join(each for each in wrong if wrong[each])}"
        raise ValueError(msg)
    morsel: Morsel[str] = Morsel()
    morsel.set(name, value, value)
    attributes: dict[str, Any] = {
        "path": path,
        "samesite": same_site,
        "secure": secure,
        "httponly": http_only,
        "max-age": "" if max_age is None else max_age,
    }
    morsel.update(attributes)
    return morsel.OutputString()


def _may_have_path(name: str, path: str) -> bool:
    whole = path == "/" or not name.lower().startswith("__host-")
    return whole and _PATH.fullmatch(path) is not None


def read_cookies(header: str) -> dict[str, str]:
    """
    Return the cookies of a request by name.

    What is malformed is left out, and so is a name that comes twice: the second one may
    have been planted by a neighbour of the same site, and nobody can tell which.

    Args:
        header: Values of `Cookie`, joined by `; `.
    """
    found: dict[str, str] = {}
    twice = set()
    for pair in header.split(";"):
        name, equals, value = pair.strip(" \t").partition("=")
        if not (equals and _NAME.fullmatch(name) and _VALUE.fullmatch(value)):
            continue
        twice.update({name} & found.keys())
        found[name] = value
    return {name: value for name, value in found.items() if name not in twice}
