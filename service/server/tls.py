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
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

from service.errors import StartError
from service.server.pem import Certificate, authority, blocks, read, refuse
from service.settings import TlsSettings

__all__ = ["CIPHERS", "Loaded", "TlsContext", "fingerprint", "load", "tls_files"]

CIPHERS = ":".join(
    f"ECDHE-{key}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for key in ("ECDSA", "RSA")
)
"""Suites of TLS 1.2; those of TLS 1.3 are all good and not chosen here."""

EXPIRY_WARNING = 7 * 86_400.0
"""Seconds before its end that a certificate is warned of; a fifth of its life where
that is shorter, because one of a day is renewed in its last hours."""

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

_CLIENT_AUTH = {
    "optional": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}

_NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL, for which Python has no name."""


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
            digest.update(hashlib.sha256(read(path)).digest())
        except StartError as error:
            digest.update(str(error).encode())
    return digest.hexdigest()


def load(tls: TlsSettings) -> Loaded:
    """
    Check the files and make a context of them.

    Args:
        tls: The files, and what is asked of clients.

    Raises:
        StartError: A file can't be read or is not what it should be, the key is of
            another certificate, or the certificate is expired or not for servers.
    """
    found = blocks(Path(tls.cert_file))
    context = _context(tls)
    _load_pair(context, tls)
    leaf = _shown(context, found[0], tls)
    chain = [leaf, *_authorities(found[1:], tls.cert_file)]
    believed: list[Certificate] = []
    if tls.client_auth != "none":
        believed = _authorities(blocks(Path(tls.client_ca_file)), tls.client_ca_file)
        _trust(context, tls)
    files = {"server": chain, "client_ca": believed}
    early = min(EXPIRY_WARNING, (leaf.not_after - leaf.not_before) / 5)
    return Loaded(
        context=context,
        names=leaf.names or (leaf.subject,),
        serial=leaf.serial,
        warn_at=leaf.not_after - early,
        not_after={
            name: min(each.not_after for each in certificates)
            for name, certificates in files.items()
            if certificates
        },
        warnings=tuple(_warnings(tls, chain, believed)),
    )


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
        refuse(tls.key_file, "is encrypted, and nobody is here to open it")

    read(Path(tls.key_file))  # for an error that names the file
    try:
        context.load_cert_chain(tls.cert_file, tls.key_file, password=no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            refuse(tls.key_file, f"is not the key of {tls.cert_file}")
        refuse(f"{tls.cert_file}, {tls.key_file}", _reason(error))


def _shown(context: TlsContext, block: str, tls: TlsSettings) -> Certificate:
    """
    Return the certificate *block* as a client of *context* sees it.

    The client is one that believes it, whatever its dates: the handshake, in memory,
    proves that certificate and key work together and are good for a server.
    """
    asking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    asking.check_hostname = False
    asking.load_verify_locations(cadata=block)
    asking.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
    try:
        described = _handshake(context, asking).getpeercert()
    except ssl.SSLError as error:
        refuse(tls.cert_file, _reason(error))
    assert described  # noqa: S101 - narrows the type: the client asks for one
    leaf = Certificate.of(described)
    if leaf.not_after <= time.time():
        refuse(tls.cert_file, f"expired on {_date(leaf.not_after)}")
    context.certificate_pem = ssl.DER_cert_to_PEM_cert(ssl.PEM_cert_to_DER_cert(block))
    return leaf


def _handshake(serving: ssl.SSLContext, asking: ssl.SSLContext) -> ssl.SSLObject:
    """Let both shake hands in memory; return the client's side."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = serving.wrap_bio(to_server, to_client, server_side=True)
    client = asking.wrap_bio(to_client, to_server)
    waiting = [client, server]
    while waiting:
        side = waiting.pop(0)
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            waiting.append(side)
    return client


def _authorities(found: list[str], path: str) -> list[Certificate]:
    """Return what the certificates of authorities among *found* say."""
    told = (authority(block, path=Path(path)) for block in found)
    return [each for each in told if each is not None]


def _trust(context: ssl.SSLContext, tls: TlsSettings) -> None:
    """Let *context* ask clients for certificates of the authorities in the file."""
    try:
        context.load_verify_locations(tls.client_ca_file)
    except ssl.SSLError as error:
        refuse(tls.client_ca_file, _reason(error))
    context.verify_mode = _CLIENT_AUTH[tls.client_auth]
    # whoever stands in the file is believed, an intermediate authority too
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN


def _warnings(
    tls: TlsSettings, chain: list[Certificate], believed: list[Certificate]
) -> list[str]:
    now = time.time()
    found = []
    if Path(tls.key_file).stat().st_mode & stat.S_IROTH:
        found.append(f"{tls.key_file}: may be read by everybody")
    if chain[0].not_before > now:
        begin = _date(chain[0].not_before)
        found.append(f"{tls.cert_file}: is not valid before {begin}")
    if any(issued.issuer != issuer.subject for issued, issuer in pairwise(chain)):
        found.append(f"{tls.cert_file}: the chain is not in order")
    stale = [(tls.cert_file, each) for each in chain[1:]]
    stale += [(tls.client_ca_file, each) for each in believed]
    found += [
        f"{path}: {each.subject} is expired"
        for path, each in stale
        if each.not_after <= now
    ]
    return found


def _reason(error: ssl.SSLError) -> str:
    text = getattr(error, "verify_message", "") or error.reason or str(error)
    return f"can't be used: {text.replace('_', ' ').lower()}"


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
