"""What the file server does, measured; registered only where it is on."""

from prometheus_client import CollectorRegistry, Counter, Gauge

__all__ = ["OUTCOMES", "FilesMetrics"]

OUTCOMES = (
    "stored",
    "stopped",
    "cancelled",
    "expired",
    "cut",
    "refused",
    "mismatched",
    "too_large",
    "no_space",
    "failed",
)
"""What an upload may come to."""


class FilesMetrics:
    """
    Bytes that came and went, and what is there.

    Args:
        registry: Where they are registered.

    Concurrency:
        Any thread.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._bytes = Counter(
            "httpserver_files_bytes_total",
            "Bytes of files that were received and sent.",
            ["direction"],
            registry=registry,
        )
        self._uploads = Counter(
            "httpserver_files_uploads_total",
            "Uploads of files, by what they came to.",
            ["outcome"],
            registry=registry,
        )
        self._stored = Gauge(
            "httpserver_files_stored_bytes",
            "Bytes that all files take, those of stopped uploads too.",
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._files = Gauge(
            "httpserver_files_stored_files",
            "Files that are there.",
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._received = self._bytes.labels("in")
        self._sent = self._bytes.labels("out")
        for outcome in OUTCOMES:
            self._uploads.labels(outcome)

    def received(self, size: int) -> None:
        """Count bytes that came."""
        self._received.inc(size)

    def sent(self, size: int) -> None:
        """Count bytes that went."""
        self._sent.inc(size)

    def uploaded(self, outcome: str) -> None:
        """
        Count an upload.

        Args:
            outcome: One of `OUTCOMES`.
        """
        self._uploads.labels(outcome).inc()

    def stored(self, size: int, files: int) -> None:
        """Tell what is there: *size* bytes in *files* files."""
        self._stored.set(size)
        self._files.set(files)
