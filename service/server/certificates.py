"""
The certificate in use, and its successors: a part that takes new files in while the
service runs.

cert-manager writes a renewed certificate into its Secret, the kubelet swaps the mounted
files, and listeners get a new context; connections that are open keep what they have.
A pair that can't be used changes nothing but the log and a metric.
"""

import asyncio
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from service.errors import StartError
from service.observability.logging import get_logger
from service.server.tls import Loaded, fingerprint, load, tls_files
from service.settings import TlsSettings
from service.watching import FolderWatcher

__all__ = ["CertificateMetrics", "Certificates", "OnContext"]

OnContext = Callable[[ssl.SSLContext], object]
"""What is called with a new context."""

_SETTLE_LOOKS = 20
"""Looks after which files that never stay the same are taken as they are."""


class CertificateMetrics(Protocol):
    """What measures certificates."""

    def loaded(self, not_after: Mapping[str, float]) -> None:
        """
        Note when the certificates in use end.

        Args:
            not_after: Seconds since the epoch, by `server` and `client_ca`.
        """

    def reloaded(self, result: str) -> None:
        """
        Count one reload.

        Args:
            result: `changed`, `unchanged` or `failed`.
        """


class Certificates:
    """
    The TLS context in use; a part of the service and what its listener asks for.

    Args:
        tls: The files, and what is asked of clients.
        metrics: What measures certificates.
        quiet_period: Seconds that files must stay the same before they are taken.
        interval: Seconds between looks that no change caused.

    Attributes:
        metrics: What measures certificates.

    Concurrency:
        `context` may be read by any thread. Subscribers are called on the event loop
        that `start` ran on; `look` belongs to any thread but that loop's.
    """

    name = "certificates"

    def __init__(
        self,
        tls: TlsSettings,
        *,
        metrics: CertificateMetrics,
        quiet_period: float = 0.1,
        interval: float = 5.0,
    ) -> None:
        self._tls = tls
        self.metrics = metrics
        self._settle = quiet_period
        self._subscribers: list[OnContext] = []
        self._lock = threading.Lock()
        self._warned_of = ""
        self._loaded: Loaded
        self._loop: asyncio.AbstractEventLoop | None = None
        self._seen = ""
        self._watcher = FolderWatcher(
            "tls",
            folders=lambda: {path.absolute().parent for path in tls_files(tls)},
            look=self.look,
            logger="httpserver.tls",
            quiet_period=quiet_period,
            interval=interval,
        )
        self._log = get_logger("httpserver.tls")

    @property
    def context(self) -> ssl.SSLContext:
        """The context for new connections; there is one after `start`."""
        return self._loaded.context

    @property
    def handshake_timeout(self) -> float:
        """Seconds that a handshake may take."""
        return self._tls.handshake_timeout

    @property
    def shutdown_timeout(self) -> float:
        """Seconds that a client may take to close TLS."""
        return self._tls.shutdown_timeout

    def subscribe(self, callback: OnContext) -> Callable[[], None]:
        """
        Call *callback* with each new context.

        Returns:
            What ends the subscription; a stop that is forced asks for it twice.
        """
        self._subscribers.append(callback)

        def unsubscribe() -> None:
            if callback in self._subscribers:
                self._subscribers.remove(callback)

        return unsubscribe

    async def start(self) -> None:
        """
        Load the files and watch them.

        Raises:
            StartError: They can't be used; the text says why.
        """
        self._seen = fingerprint(self._tls)
        self._take(load(self._tls))
        self._loop = asyncio.get_running_loop()
        await self._watcher.start()

    async def stop(self) -> None:
        """Stop watching; the context stays."""
        await self._watcher.stop()

    def look(self, *, tell: bool = False) -> bool:
        """
        Load the files anew unless they hold what they held the last time.

        Args:
            tell: Whether somebody asked and wants to read that nothing changed.

        Returns:
            Whether there is a new context.
        """
        if self._loop is None:
            return False  # not started: there is nothing to be newer than
        with self._lock:
            if fingerprint(self._tls) != self._seen:
                return self._reload(self._settled(), loop=self._loop)
            self._warn_of_end()
        if tell:
            self.metrics.reloaded("unchanged")
            self._log.info("tls_unchanged")
        return False

    def _settled(self) -> str:
        """Return the files' fingerprint once two in a row are the same."""
        found = fingerprint(self._tls)
        for _ in range(_SETTLE_LOOKS):
            time.sleep(self._settle)
            before, found = found, fingerprint(self._tls)
            if before == found:
                break
        return found

    def _reload(self, found: str, *, loop: asyncio.AbstractEventLoop) -> bool:
        """Take the files in, which should have the fingerprint *found*."""
        try:
            loaded, problem = load(self._tls), ""
        except StartError as error:
            loaded, problem = None, str(error)
        if fingerprint(self._tls) != found:
            return False  # they changed meanwhile; that brings the next look
        self._seen = found
        if loaded is None:
            self.metrics.reloaded("failed")
            self._log.error("tls_reload_failed", reason=problem)
            return False
        self._take(loaded)
        self.metrics.reloaded("changed")
        loop.call_soon_threadsafe(self._notify, loaded.context)
        return True

    def _take(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self.metrics.loaded(loaded.not_after)
        self._log.info(
            "tls_loaded",
            names=loaded.names,
            serial=loaded.serial,
            not_after=_iso(loaded.not_after["server"]),
        )
        for each in loaded.warnings:
            self._log.warning("tls_warning", reason=each)
        self._warn_of_end()

    def _warn_of_end(self) -> None:
        """Say once that the certificate ends soon, and once that it has ended."""
        end = self._loaded.not_after["server"]
        now = time.time()
        if now < self._loaded.warn_at:
            return
        event = "tls_expired" if end <= now else "tls_expires_soon"
        warning = f"{event} {self._loaded.serial}"
        if warning != self._warned_of:
            self._warned_of = warning
            log = self._log.error if end <= now else self._log.warning
            log(event, not_after=_iso(end))

    def _notify(self, context: ssl.SSLContext) -> None:
        for callback in tuple(self._subscribers):
            try:
                callback(context)
            except Exception:  # noqa: BLE001 - a subscriber must not stop the others
                name = getattr(callback, "__qualname__", repr(callback))
                self._log.exception("tls_subscriber_failed", subscriber=name)


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
