"""
From certificate files to a TLS context, with everything checked that can be known
before the first client comes.

A context is made anew from the files and never changed after: the one in use stays as
it is while another is tried, and a new one has the new authorities too, and no session
of the old. Protocols and ciphers are those of Mozilla's intermediate profile without
finite-field Diffie-Hellman, which costs the server much and the client nothing
(CVE-2002-20001) and which no client of today needs.

Source: https://wiki.mozilla.org/Security/Server_Side_TLS
"""

import hashlib
import ssl
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from service.errors import StartError
from service.settings import TlsSettings

if TYPE_CHECKING:  # 60 ms to import; where TLS is off nobody waits for it
    from cryptography.x509 import Certificate

__all__ = ["CIPHERS", "Loaded", "TlsContext", "fingerprint", "load", "tls_files"]

CIPHERS = ":".join(
    f"ECDHE-{key}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for key in ("ECDSA", "RSA")
)
"""Suites of TLS 1.2; those of TLS 1.3 are all good and not chosen here."""

EXPIRY_WARNING = timedelta(days=7)
"""How long before its end a certificate is warned of; a fifth of its life where that is
shorter, because one of a day is renewed in its last hours."""

_LARGEST = 1_048_576
"""Bytes of a file; a Secret holds no more."""

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

_CLIENT_AUTH = {
    "optional": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}


class TlsContext(ssl.SSLContext):
    """
    A server's context that knows its own certificate.

    Attributes:
        certificate_pem: The certificate that clients are shown, without its chain.
        suites: IANA number of each cipher suite by its name.
    """

    certificate_pem: str
    suites: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """
    What the files came to.

    Attributes:
        context: For listeners.
        names: Whom the certificate is for: its alternative names, or its subject.
        serial: Its serial number, hexadecimal.
        warn_at: When its end is to be warned of, seconds since the epoch.
        not_after: When the first certificate of each file ends, in the same; `server`
            for the chain, `client_ca` for the authorities if there are any.
        warnings: A sentence for each thing that works and should not be.
    """

    context: TlsContext
    names: tuple[str, ...]
    serial: str
    warn_at: float
    not_after: Mapping[str, float]
    warnings: tuple[str, ...]


def tls_files(tls: TlsSettings) -> list[Path]:
    """Return the files that *tls* reads: certificate, key, authorities if asked for."""
    names = [tls.cert_file, tls.key_file]
    if tls.client_auth != "none":
        names.append(tls.client_ca_file)
    return [Path(name) for name in names]


def fingerprint(tls: TlsSettings) -> str:
    """Return a text that is the same as long as the files hold the same."""
    digest = hashlib.sha256()
    for path in tls_files(tls):
        try:
            digest.update(hashlib.sha256(_read(path)).digest())
        except StartError as error:
            digest.update(str(error).encode())
    return digest.hexdigest()


def load(tls: TlsSettings, *, now: datetime | None = None) -> Loaded:
    """
    Check the files and make a context of them.

    Args:
        tls: The files, and what is asked of clients.
        now: The time to check dates by; that of the clock by default.

    Raises:
        StartError: A file can't be read or is not what it should be, the key is of
            another certificate, or the certificate is expired.
    """
    now = now or datetime.now(UTC)
    chain = _certificates(Path(tls.cert_file))
    leaf = chain[0]
    if leaf.not_valid_after_utc <= now:
        _refuse(tls.cert_file, f"expired on {_date(leaf.not_valid_after_utc)}")
    authorities: list[Certificate] = []
    context = _context(tls)
    _load_pair(context, tls)
    if tls.client_auth != "none":
        authorities = _certificates(Path(tls.client_ca_file))
        _trust(context, tls)
    context.certificate_pem = ssl.DER_cert_to_PEM_cert(_der(leaf))
    life = leaf.not_valid_after_utc - leaf.not_valid_before_utc
    warn_at = leaf.not_valid_after_utc - min(EXPIRY_WARNING, life / 5)
    files = {"server": chain, "client_ca": authorities}
    return Loaded(
        context=context,
        names=_names(leaf),
        serial=f"{leaf.serial_number:x}",
        warn_at=warn_at.timestamp(),
        not_after={
            name: min(each.not_valid_after_utc for each in found).timestamp()
            for name, found in files.items()
            if found
        },
        warnings=tuple(_warnings(tls, chain, authorities, now=now)),
    )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise StartError(f"can't read {path}: {error.strerror}") from error
    if len(content) > _LARGEST:
        _refuse(path, f"is larger than {_LARGEST} bytes")
    return content


def _certificates(path: Path) -> "list[Certificate]":
    """Return the certificates of a PEM file, one at least."""
    from cryptography.x509 import load_pem_x509_certificates

    content = _read(path)
    try:
        return load_pem_x509_certificates(content)
    except ValueError as error:
        raise StartError(f"{path}: holds no certificate in PEM form") from error


def _context(tls: TlsSettings) -> TlsContext:
    """Return a context that has no certificate yet."""
    context = TlsContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[tls.min_version]
    context.set_ciphers(CIPHERS)
    context.suites = {
        each["name"]: each["id"] & 0xFFFF for each in context.get_ciphers()
    }
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    # every suite is strong: a client without AES in hardware may prefer ChaCha20
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    return context


def _load_pair(context: ssl.SSLContext, tls: TlsSettings) -> None:
    """Give *context* its certificate and key."""

    def no_password() -> NoReturn:
        _refuse(tls.key_file, "is encrypted, and nobody is here to open it")

    _read(Path(tls.key_file))  # for an error that names the file
    try:
        context.load_cert_chain(tls.cert_file, tls.key_file, password=no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            _refuse(tls.key_file, f"is not the key of {tls.cert_file}")
        _refuse(f"{tls.cert_file}, {tls.key_file}", _reason(error))


def _trust(context: ssl.SSLContext, tls: TlsSettings) -> None:
    """Let *context* ask clients for certificates of the authorities in the file."""
    try:
        context.load_verify_locations(tls.client_ca_file)
    except ssl.SSLError as error:
        _refuse(tls.client_ca_file, _reason(error))
    context.verify_mode = _CLIENT_AUTH[tls.client_auth]
    # whoever stands in the file is believed, an intermediate authority too
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN


def _names(certificate: "Certificate") -> tuple[str, ...]:
    from cryptography import x509

    kind = x509.SubjectAlternativeName
    try:
        found = certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return (certificate.subject.rfc4514_string(),)
    return tuple(str(each.value) for each in found)


def _warnings(
    tls: TlsSettings,
    chain: "list[Certificate]",
    authorities: "list[Certificate]",
    *,
    now: datetime,
) -> list[str]:
    found = []
    if Path(tls.key_file).stat().st_mode & stat.S_IROTH:
        found.append(f"{tls.key_file}: may be read by everybody")
    if chain[0].not_valid_before_utc > now:
        begin = _date(chain[0].not_valid_before_utc)
        found.append(f"{tls.cert_file}: is not valid before {begin}")
    if any(issued.issuer != issuer.subject for issued, issuer in pairwise(chain)):
        found.append(f"{tls.cert_file}: the chain is not in order")
    stale = [(tls.cert_file, each) for each in chain[1:]]
    stale += [(tls.client_ca_file, each) for each in authorities]
    found += [
        f"{path}: {each.subject.rfc4514_string()} is expired"
        for path, each in stale
        if each.not_valid_after_utc <= now
    ]
    return found


def _der(certificate: "Certificate") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.DER)


def _reason(error: ssl.SSLError) -> str:
    text = error.reason or str(error)
    return f"can't be used: {text.replace('_', ' ').lower()}"


def _date(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _refuse(place: str | Path, reason: str) -> NoReturn:
    raise StartError(f"{place}: {reason}")
