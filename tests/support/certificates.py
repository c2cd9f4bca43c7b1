"""Authorities and certificates, made in memory and written as a Secret has them."""

import datetime as dt
import ipaddress
import ssl
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from service.settings import TlsSettings
from tests.support.settings_files import KubernetesMount

__all__ = ["DAY", "NOW", "Authority", "Issued", "TlsMount", "client_context"]

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
DAY = dt.timedelta(days=1)


class Issued:
    """
    A certificate and its key.

    Attributes:
        cert: The certificate and the authorities between it and the root, PEM.
        key: PEM.
        serial: Serial number, hexadecimal.
    """

    def __init__(self, cert: x509.Certificate, key: PrivateKey) -> None:
        self._key = key
        self.cert = _pem(cert)
        self.key = self._key_pem(NoEncryption())
        self.serial = f"{cert.serial_number:x}"

    @property
    def encrypted_key(self) -> str:
        return self._key_pem(BestAvailableEncryption(b"secret"))

    def _key_pem(self, encryption) -> str:
        return self._key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, encryption
        ).decode()

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write both files; return where."""
        folder.mkdir(parents=True, exist_ok=True)
        cert, key = folder / "tls.crt", folder / "tls.key"
        cert.write_text(self.cert)
        key.touch(mode=0o600)
        key.write_text(self.key)
        return cert, key


class Authority:
    """
    An authority.

    Args:
        name: Its common name.
        parent: Who vouches for it; it is a root without.
        not_after: When it ends.

    Attributes:
        pem: Its own certificate.
    """

    def __init__(
        self,
        name: str = "Test root",
        *,
        parent: "Authority | None" = None,
        not_after: dt.datetime = NOW + 3650 * DAY,
    ) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._parent = parent
        self._subject = _name(name)
        issuer = parent or self
        self._cert = (
            _builder(self._subject, issuer, self._key, NOW - 10 * DAY, not_after)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
            .add_extension(_usage(ca=True), True)
            .sign(issuer._key, hashes.SHA256())
        )
        self.pem = _pem(self._cert)

    def issue(
        self,
        *names: str,
        common_name: str | None = None,
        not_before: dt.datetime = NOW - DAY,
        not_after: dt.datetime = NOW + 90 * DAY,
        key: PrivateKey | None = None,
        usage: x509.ObjectIdentifier | None = None,
    ) -> Issued:
        """
        Return a certificate, good for servers and clients.

        Args:
            names: Alternative names: addresses, URIs, DNS names; without any of them
                there is only the common name.
            common_name: Of the subject.
            not_before: When it begins.
            not_after: When it ends.
            key: Its key; an elliptic one without.
            usage: What alone it is for; anything without.
        """
        key = key or ec.generate_private_key(ec.SECP256R1())
        subject = _name(common_name or "no name is here")
        builder = _builder(subject, self, key, not_before, not_after)
        builder = builder.add_extension(_usage(ca=False), True)
        if names:
            found = x509.SubjectAlternativeName([_alternative(each) for each in names])
            builder = builder.add_extension(found, False)
        if usage is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), True)
        issued = Issued(builder.sign(self._key, hashes.SHA256()), key)
        between: Authority = self
        while between._parent is not None:
            issued.cert += between.pem
            between = between._parent
        return issued

    def server(self) -> Issued:
        """Return a certificate for a server on this machine."""
        return self.issue("127.0.0.1", "localhost")

    def expired(self, *names: str) -> Issued:
        """Return a certificate whose day was yesterday."""
        wanted = names or ("127.0.0.1", "localhost")
        return self.issue(*wanted, not_before=NOW - 2 * DAY, not_after=NOW - DAY)


class TlsMount(KubernetesMount):
    """A folder as the kubelet mounts a TLS Secret."""

    def __init__(self, folder: Path, issued: Issued, *, ca: str = "") -> None:
        super().__init__(folder, **_files(issued, ca))

    def rotate(self, issued: Issued, *, ca: str = "") -> None:
        """Swap the files as the kubelet does."""
        self.swap(**_files(issued, ca))

    def settings(self, **others: object) -> TlsSettings:
        """Return the settings that read this folder."""
        values = {"enabled": True, **self._paths(), **others}
        return TlsSettings.model_validate(values)

    def flags(self) -> dict[str, object]:
        """Return the settings for `serving`, on a free port."""
        values = {"enabled": "true", "ports": "[0]", **self._paths()}
        return {f"server__tls__{name}": value for name, value in values.items()}

    def _paths(self) -> dict[str, str]:
        return {
            "cert_file": str(self.folder / "tls.crt"),
            "key_file": str(self.folder / "tls.key"),
            "client_ca_file": str(self.folder / "ca.crt"),
        }


def client_context(authority: Authority, issued: Issued | None = None, **attributes):
    """
    Return what a client connects with.

    Args:
        authority: Whom the client believes.
        issued: The certificate that it shows.
        attributes: Of the context, such as `maximum_version`.
    """
    context = ssl.create_default_context(cadata=authority.pem)
    # these authorities leave out the key identifiers that Python 3.13 asks for
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if issued is not None:
        with tempfile.TemporaryDirectory() as folder:
            context.load_cert_chain(*issued.write(Path(folder)))
    for name, value in attributes.items():
        setattr(context, name, value)
    return context


def _files(issued: Issued, ca: str) -> dict[str, str]:
    return {"tls.crt": issued.cert, "tls.key": issued.key, "ca.crt": ca}


def _builder(subject, issuer, key, not_before, not_after) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer._subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )


def _usage(*, ca: bool) -> x509.KeyUsage:
    unset = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(
        digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, **unset
    )


def _alternative(name: str) -> x509.GeneralName:
    if "://" in name:
        return x509.UniformResourceIdentifier(name)
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()
