"""
Rules that the head of a request must keep before anything is made of it.

httptools is strict about framing (length beside coding, bare LF, folded lines); what it
lets through and RFC 9112 does not is refused here: no host or two, other versions than
1.0 and 1.1, other codings than `chunked`, lengths that Python does not read, and what
is beyond the limits.

Source: RFC 9112 §2.3 (version), §3.2 (host), §6.1 (transfer coding); RFC 6585 §5 (431).
"""

from collections.abc import Mapping

from service.server.hosts import is_host
from service.server.limits import ConnectionLimits
from service.server.refusals import Refusal

__all__ = ["check_head", "check_sizes", "too_large", "with_host"]


MAX_LENGTH_DIGITS = 20
"""Digits that a length of 64 bits can need; the parser takes any number of zeros before
them, but `int` no more than 4,300 digits."""


def check_sizes(
    target: int, headers: int, header_bytes: int, limits: ConnectionLimits
) -> None:
    """
    Compare a head with the limits.

    Args:
        target: Bytes of the request target.
        headers: Number of header fields.
        header_bytes: Bytes of their names and values.
        limits: What is granted.

    Raises:
        Refusal: 414 or 431.
    """
    if target > limits.max_target_bytes:
        raise too_large(414, "target_too_long")
    if headers > limits.max_headers:
        raise too_large(431, "too_many_headers")
    if header_bytes > limits.max_header_bytes:
        raise too_large(431, "headers_too_large")


def too_large(status: int, reason: str) -> Refusal:
    """Return the refusal of a head that is too large."""
    if status == 414:  # noqa: PLR2004 - the other is 431
        return Refusal(status, reason, "The request target is too long.")
    return Refusal(status, reason, "The request header is too large.")


def check_head(
    version: str, method: bytes, hosts: int, watched: Mapping[bytes, bytes]
) -> None:
    """
    Compare a head with the rules of HTTP/1.1.

    Args:
        version: `1.1` for `HTTP/1.1`.
        method: The method.
        hosts: Number of `Host` fields.
        watched: Values of the fields that decide about framing and host.

    Raises:
        Refusal: 400 or 505.
    """
    if version not in ("1.1", "1.0"):
        raise Refusal(505, "bad_version", "This server speaks HTTP/1.1.")
    if hosts != 1 and (hosts or version == "1.1"):
        raise Refusal(400, "bad_host", "A request has exactly one Host header.")
    if hosts and watched[b"host"] and not is_host(watched[b"host"]):
        raise Refusal(400, "bad_host", "The Host header is no host.")
    if method == b"CONNECT":
        raise Refusal(400, "bad_request", "This server is no proxy.")
    coding = watched.get(b"transfer-encoding")
    if coding is not None and (version == "1.0" or coding.lower() != b"chunked"):
        raise Refusal(400, "bad_request", "The only transfer coding here is chunked.")
    length = watched.get(b"content-length")
    if length is not None and not _is_length(length):
        raise Refusal(400, "bad_request", "The Content-Length is no number of bytes.")


def _is_length(value: bytes) -> bool:
    return len(value) <= MAX_LENGTH_DIGITS and value.isdigit()


def with_host(
    headers: list[tuple[bytes, bytes]], authority: bytes
) -> list[tuple[bytes, bytes]]:
    """
    Return *headers* with the host that the request target names (RFC 9112 §3.2.2).

    Raises:
        Refusal: It is no host.
    """
    if not is_host(authority):
        raise Refusal(400, "bad_host", "The host of the request target is no host.")
    rest = [pair for pair in headers if pair[0] != b"host"]
    return [(b"host", authority), *rest]
