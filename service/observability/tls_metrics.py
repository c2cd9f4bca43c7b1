"""The certificate in use, measured; registered only where the service speaks TLS."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge

__all__ = ["TlsMetrics"]


class TlsMetrics:
    """
    When certificates end, and whether new ones were taken in.

    Args:
        registry: Where they are registered.

    Concurrency:
        Any thread.
    """

    RESULTS = ("changed", "unchanged", "failed")

    def __init__(self, registry: CollectorRegistry) -> None:
        self._not_after = Gauge(
            "httpserver_tls_certificate_not_after_timestamp_seconds",
            "When the first certificate of a file in use ends.",
            ["certificate"],
            registry=registry,
            multiprocess_mode="min",
        )
        self._success = Gauge(
            "httpserver_tls_reload_success",
            "1 when the certificate files that are on disk are in use.",
            registry=registry,
            multiprocess_mode="min",
        )
        self._success.set(1)
        self._reloads = Counter(
            "httpserver_tls_reloads_total",
            "Reloads of the certificate files, by result.",
            ["result"],
            registry=registry,
        )
        for each in self.RESULTS:
            self._reloads.labels(each)

    def loaded(self, not_after: Mapping[str, float]) -> None:
        """
        Note when the certificates in use end.

        Args:
            not_after: Seconds since the epoch, by `server` and `client_ca`.
        """
        for certificate, end in not_after.items():
            self._not_after.labels(certificate).set(end)

    def reloaded(self, result: str) -> None:
        """
        Count a reload of the files.

        Args:
            result: `changed`, `unchanged` or `failed`.
        """
        self._reloads.labels(result).inc()
        if result != "unchanged":
            self._success.set(result == "changed")
