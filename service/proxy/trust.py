"""
Whom an https upstream is believed: the name that it must have, and the authorities that
vouch for it. Verification can't be switched off.

The file of authorities is looked at before each new connection, so one that is
replaced, as a mounted ConfigMap is, holds from the next connection on; one that can't
be read leaves those before in force.
"""

import ssl
from pathlib import Path

from service.observability.logging import get_logger
from service.proxy.failures import CertificateRefused

__all__ = ["Trust"]

_Stamp = tuple[int, int, int]


class Trust:
    """
    What TLS to an upstream is checked by.

    Args:
        name: What it is asked for (SNI), and what its certificate must be for.
        ca_file: Authorities, PEM; those of the system without.

    Attributes:
        name: The same.

    Concurrency:
        For one event loop; reading the file holds it up for some milliseconds.
    """

    def __init__(self, name: str, ca_file: Path | None = None) -> None:
        self.name = name
        self._file = ca_file
        self._seen: _Stamp | None = None
        self._context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """
        Return the context for a new connection.

        Raises:
            CertificateRefused: The file can't be read, and never could.
        """
        stamp = self._stamp()
        if self._context is None or stamp != self._seen:
            self._seen = stamp
            try:
                self._context = ssl.create_default_context(cafile=self._file)
            except OSError as error:  # ssl.SSLError is one of them
                self._keep(error)
        if self._context is None:
            raise CertificateRefused(f"no authorities in {self._file}")
        return self._context

    def _keep(self, error: OSError) -> None:
        log = get_logger("httpserver.proxy")
        log.warning(
            "upstream_authorities_unreadable", file=str(self._file), reason=str(error)
        )

    def _stamp(self) -> _Stamp | None:
        try:
            found = self._file.stat() if self._file else None
        except OSError:
            return None
        return found and (found.st_ino, found.st_size, found.st_mtime_ns)
