"""
Digests of content in HTTP fields: read, computed while bytes go by, and written.

`sha-256` and `sha-512` are the algorithms that RFC 9530 has for use against tampering;
what else a client sends is left aside, as the RFC wants of unknown ones.

Source: RFC 9530 §2, §3, §4, §5
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from service.files.errors import DigestMismatch

__all__ = ["NO_DIGESTS", "Digests", "Hashing", "digest_field", "parse_digests"]

Digests = Mapping[str, bytes]
"""Digests by the name of their algorithm."""

NO_DIGESTS: Digests = MappingProxyType({})

_SIZES = {"sha-256": 32, "sha-512": 64}
_MEMBER = re.compile(r"\s*([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/=]*):\s*(?:;[^,]*)?")


class MalformedDigest(ValueError):
    """A digest field that can't be read."""


def parse_digests(field: str) -> Digests:
    """
    Return the digests of a `Repr-Digest` or `Content-Digest` field that are known.

    Raises:
        ValueError: It is no dictionary of byte sequences, or a digest has a wrong size:
            it must not be taken for verified.
    """
    found: dict[str, bytes] = {}
    for member in field.split(","):
        match = _MEMBER.fullmatch(member)
        if match is None:
            raise MalformedDigest("it is no dictionary of byte sequences")
        try:
            value = base64.b64decode(match[2], validate=True)
        except binascii.Error:
            raise MalformedDigest("a digest is not Base64") from None
        if len(value) != _SIZES.get(match[1], len(value)):
            raise MalformedDigest(f"a digest of {match[1]} has another size")
        if match[1] in _SIZES:
            found[match[1]] = value
    return found


def digest_field(digests: Digests) -> str:
    """Return the value of a field that tells *digests*."""
    return ", ".join(
        f"{name}=:{base64.b64encode(value).decode()}:"
        for name, value in digests.items()
    )


class Hashing:
    """
    Digests of bytes that go by.

    Args:
        expected: What they must come to.
        always: Algorithms that are computed even where nothing is expected.

    Concurrency: one thread at a time.
    """

    __slots__ = ("_expected", "_running")

    def __init__(
        self, expected: Digests = NO_DIGESTS, *, always: Iterable[str] = ("sha-256",)
    ) -> None:
        self._expected = expected
        self._running = {
            name: hashlib.new(name.replace("-", "")) for name in {*always, *expected}
        }

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        for each in self._running.values():
            each.update(data)

    def verified(self) -> Digests:
        """
        Return the digests of all bytes.

        Raises:
            DigestMismatch: One is not what was expected.
        """
        found = {name: each.digest() for name, each in self._running.items()}
        for name, value in self._expected.items():
            if found[name] != value:
                raise DigestMismatch(name)
        return found
