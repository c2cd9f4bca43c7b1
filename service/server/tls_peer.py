"""
Who is at the other end of a TLS connection: the name in a verified client certificate,
and the ASGI extension that tells an application all about the connection.

Only a certificate that the handshake has verified is ever looked at; without one there
is no name.
"""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any

from service.server.pem import Certificate
from service.server.tls import TlsContext

__all__ = ["peer_name", "tls_extension"]


def peer_name(peer: asyncio.BaseTransport | Mapping[str, Any] | None) -> str | None:
    """
    Return the name of a client by its certificate.

    Args:
        peer: The connection, or what `getpeercert()` gave.

    Returns:
        Its first URI (a SPIFFE id is one), else its first DNS name, else the common
        name of its subject; None without a certificate or a name. A name with
        characters that can't be printed is none.
    """
    certificate = (
        peer
        if peer is None or isinstance(peer, Mapping)
        else peer.get_extra_info("peercert")
    )
    if not certificate:
        return None
    names = certificate.get("subjectAltName", ())
    subject = [pair for part in certificate.get("subject", ()) for pair in part]
    for wanted, found in (("URI", names), ("DNS", names), ("commonName", subject)):
        for kind, name in found:
            if kind == wanted and name.isprintable():
                return str(name)
    return None


def tls_extension(transport: asyncio.BaseTransport) -> dict[str, Any] | None:
    """
    Return `scope["extensions"]["tls"]` of a connection, or None when it has no TLS.

    Source: https://asgi.readthedocs.io/en/latest/specs/tls.html
    """
    tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    if tls is None:
        return None
    context = tls.context
    own = context if isinstance(context, TlsContext) else None
    peer = tls.getpeercert()
    certificate = tls.getpeercert(binary_form=True) if peer else None
    cipher = tls.cipher()
    return {
        "server_cert": own and own.certificate_pem,
        "client_cert_chain": [ssl.DER_cert_to_PEM_cert(certificate)]
        if certificate
        else [],
        "client_cert_name": Certificate.of(peer).subject if peer else None,
        "client_cert_error": None,
        "tls_version": _version(tls),
        "cipher_suite": own.suites.get(cipher[0]) if own and cipher else None,
    }


def _version(tls: ssl.SSLObject) -> int | None:
    """Return the protocol's number on the wire, such as 0x0304 of TLS 1.3."""
    name = tls.version()
    return ssl.TLSVersion[name.replace(".", "_")].value if name else None
