"""Where a call goes: the upstream that a URL names."""

from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from service.client.errors import InvalidRequest

__all__ = ["Target", "target_of"]

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """
    What a URL names.

    Attributes:
        upstream: Name of what breaker, budget and pool belong to.
        discovered: Whether the upstream is a service that discovery knows.
        secure: Whether it is called by TLS.
        url: Without its fragment.
        path: Path and query, for a discovered service.
    """

    upstream: str
    discovered: bool
    secure: bool
    url: str
    path: str


def target_of(url: str) -> Target:
    """
    Return what *url* names: `http://`, `https://` or `service://name/path`.

    Raises:
        InvalidRequest: It names nothing that can be called.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidRequest(f"no URL: {error}") from error
    if not parts.hostname:
        raise InvalidRequest("the URL names no host")
    if "@" in parts.netloc:
        # they would not be sent, and would be told in errors
        raise InvalidRequest("a URL must not hold credentials; send them in a header")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    whole = parts._replace(fragment="").geturl()
    discovered = parts.scheme == "service"
    if not discovered and parts.scheme not in _PORTS:
        raise InvalidRequest("the URL must begin with http://, https:// or service://")
    return Target(
        upstream=parts.netloc if discovered else _name(parts, port),
        discovered=discovered,
        secure=parts.scheme == "https",
        url=whole,
        path=path,
    )


def _name(parts: SplitResult, port: int | None) -> str:
    """Return host and port, which are one upstream however they are written."""
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{port or _PORTS[parts.scheme]}"
