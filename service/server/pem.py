"""
What a PEM file of certificates holds, with the standard library alone.

`ssl` describes an authority that it was told to trust, and a certificate that a peer
has shown; nothing else is needed here. A library for certificates would do it in fewer
lines, for 16 MB of the image and a tenth of a second of each start, because the one for
tokens imports it wherever it is there.
"""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Self

from service.errors import StartError

__all__ = ["Certificate", "authority", "blocks", "read", "refuse"]

_LARGEST = 1_048_576
"""Bytes of a file; a Secret holds no more."""

_BLOCK = re.compile(
    r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL
)

_SHORT = {
    "commonName": "CN",
    "countryName": "C",
    "domainComponent": "DC",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "stateOrProvinceName": "ST",
    "streetAddress": "STREET",
    "userId": "UID",
}
"""Names of attributes in RFC 4514 §3; any other keeps its long one."""

_SPECIAL = re.compile(r'([,+"\\<>;]|^[# ]| $)')


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """
    What is to be known of a certificate.

    Attributes:
        subject: Whose it is, as RFC 4514 writes it.
        issuer: Who has signed it, in the same form.
        names: Alternative names, of any kind.
        serial: Serial number, hexadecimal.
        not_before: When it begins, seconds since the epoch.
        not_after: When it ends, in the same.
    """

    subject: str
    issuer: str
    names: tuple[str, ...]
    serial: str
    not_before: float
    not_after: float

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> Self:
        """Return it by what `ssl` says of a certificate."""
        return cls(
            subject=_distinguished_name(described["subject"]),
            issuer=_distinguished_name(described["issuer"]),
            names=tuple(name for _, name in described.get("subjectAltName", ())),
            serial=described["serialNumber"].lower().lstrip("0"),
            not_before=ssl.cert_time_to_seconds(described["notBefore"]),
            not_after=ssl.cert_time_to_seconds(described["notAfter"]),
        )


def read(path: Path) -> bytes:
    """
    Return what *path* holds.

    Raises:
        StartError: It can't be read, or is larger than any certificate.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise StartError(f"can't read {path}: {error.strerror}") from error
    if len(content) > _LARGEST:
        refuse(path, f"is larger than {_LARGEST} bytes")
    return content


def blocks(path: Path) -> list[str]:
    """
    Return the certificates in *path*, each in PEM form, one at least.

    Raises:
        StartError: There is none.
    """
    found = _BLOCK.findall(read(path).decode("ascii", "replace"))
    if not found:
        refuse(path, "holds no certificate in PEM form")
    return found


def authority(block: str, *, path: Path) -> Certificate | None:
    """
    Return what *block*, of *path*, says; None when it is no authority's certificate.

    Raises:
        StartError: It is no certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=block)
    except ssl.SSLError:
        refuse(path, "holds a certificate that can't be read")
    described = context.get_ca_certs()
    return Certificate.of(described[0]) if described else None


def refuse(place: str | Path, reason: str) -> NoReturn:
    """
    Say what is wrong with *place*.

    Raises:
        StartError: Always.
    """
    raise StartError(f"{place}: {reason}")


def _distinguished_name(parts: tuple[tuple[tuple[str, str], ...], ...]) -> str:
    """
    Return a subject or issuer as text; `ssl` gives the widest part first.

    Source: RFC 4514
    """
    return ",".join(
        "+".join(f"{_SHORT.get(kind, kind)}={_escaped(value)}" for kind, value in part)
        for part in reversed(parts)
    )


def _escaped(value: str) -> str:
    return _SPECIAL.sub(r"\\\1", value).replace("\0", r"\00")
