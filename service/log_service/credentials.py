"""
TLS of the gRPC listener, with certificates that are renewed while it runs.

The files are watched and checked as those of the HTTP listener are; a pair that can't
be used changes nothing. gRPC has a TLS library of its own, so it gets the files' text,
and asks before each handshake whether there is a newer one. Connections that are open
keep what they have.
"""

import ssl
from pathlib import Path

import grpc

from service.observability.commitlog_metrics import CommitLogMetrics
from service.server.certificates import Certificates
from service.server.pem import read
from service.server.tls import fingerprint
from service.settings import TlsSettings
from service.settings.log_service import LogTlsSettings

__all__ = ["ServerCredentials"]


class ServerCredentials:
    """
    What the listener proves itself with; a part that watches the files.

    Args:
        settings: The files, and what is asked of clients.
        metrics: Where certificates are measured.

    Concurrency:
        gRPC fetches from threads of its own; the rest is for the main event loop.
    """

    name = "log_certificates"

    def __init__(self, settings: LogTlsSettings, *, metrics: CommitLogMetrics) -> None:
        self._tls = TlsSettings(
            enabled=True,
            cert_file=settings.cert_file,
            key_file=settings.key_file,
            client_auth=settings.client_auth,
            client_ca_file=settings.client_ca_file,
        )
        self._certificates = Certificates(self._tls, metrics=metrics)
        self._fresh: grpc.ServerCertificateConfiguration

    async def start(self) -> None:
        """
        Load the files and watch them.

        Raises:
            StartError: They can't be used; the text says why.
        """
        await self._certificates.start()
        self._fresh = self._read()
        self._certificates.subscribe(self._take)

    async def stop(self) -> None:
        """Stop watching."""
        await self._certificates.stop()

    def credentials(self) -> grpc.ServerCredentials:
        """Return what the listener's port is opened with, after `start`."""
        return grpc.dynamic_ssl_server_credentials(
            self._fresh,
            lambda: self._fresh,
            require_client_authentication=self._tls.client_auth == "required",
        )

    def _take(self, _context: ssl.SSLContext) -> None:
        """Read the files, which were just found good."""
        before = fingerprint(self._tls)
        configuration = self._read()
        # what has changed since is looked at, and brings the next call
        if fingerprint(self._tls) == before:
            self._fresh = configuration

    def _read(self) -> grpc.ServerCertificateConfiguration:
        asks = self._tls.client_auth == "required"
        return grpc.ssl_server_certificate_configuration(
            [(read(Path(self._tls.key_file)), read(Path(self._tls.cert_file)))],
            read(Path(self._tls.client_ca_file)) if asks else None,
        )
