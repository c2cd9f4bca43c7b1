"""The log service, its calls and its streams, measured where it is switched on."""

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["CommitLogMetrics"]

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
"""Upper bounds in seconds: from the kernel's memory to a disk that is in trouble."""

RELOADS = ("changed", "unchanged", "failed")


class CommitLogMetrics:
    """
    Calls by method and code, and what the streams hold.

    Args:
        registry: Where they are registered.

    Attributes:
        in_flight: Calls that are under way, by method; streams as long as they last.
        cut: Calls that the stop of the service cut off.
        followers: Streams of Server-Sent Events that are open.

    Concurrency:
        Any thread.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = Counter(
            "httpserver_grpc_calls_total",
            "Calls of the log service's listener, by method and status code.",
            ["method", "code"],
            registry=registry,
        )
        self._duration = Histogram(
            "httpserver_grpc_call_duration_seconds",
            "How long calls took that are no streams.",
            ["method"],
            buckets=BUCKETS,
            registry=registry,
        )
        self.in_flight = Gauge(
            "httpserver_grpc_calls_in_flight",
            "Calls that are under way; streams as long as they last.",
            ["method"],
            registry=registry,
        )
        self.cut = Counter(
            "httpserver_grpc_calls_cut_total",
            "Calls that the stop of the service cut off.",
            registry=registry,
        )
        self._records = Counter(
            "httpserver_commitlog_records_total",
            "Records that were acknowledged to producers, or given to consumers.",
            ["stream", "action"],
            registry=registry,
        )
        self.followers = Gauge(
            "httpserver_commitlog_followers",
            "Followers by HTTP: streams of Server-Sent Events that are open.",
            registry=registry,
        )
        self._refusals = Counter(
            "httpserver_commitlog_http_refusals_total",
            "Requests by HTTP that the log refused, by reason.",
            ["reason"],
            registry=registry,
        )
        self._of_streams(registry)
        self._of_certificates(registry)

    def ended(self, method: str, code: str, seconds: float, *, stream: bool) -> None:
        """
        Count a call that is over.

        Args:
            method: Its name, with its service.
            code: Name of its status code.
            seconds: How long it took.
            stream: Whether it lasts as long as its ends want.
        """
        self._calls.labels(method, code).inc()
        if not stream:
            self._duration.labels(method).observe(seconds)

    def moved(self, stream: str, action: str, count: int) -> None:
        """Count records that were produced or consumed."""
        self._records.labels(stream, action).inc(count)

    def refused(self, reason: str) -> None:
        """Count a request by HTTP that the log refused."""
        self._refusals.labels(reason).inc()

    def follow(self, stream: str, values: Mapping[str, Callable[[], float]]) -> None:
        """
        Show what a stream is like whenever somebody looks.

        Args:
            stream: Its name.
            values: Gives `lowest`, `next`, and where it has files `bytes`, `segments`,
                `refused` and `torn`; in JetStream `bytes`, `refused`, `unreachable`.
        """
        for action in ("produce", "consume"):
            self._records.labels(stream, action)
        for name, value in values.items():
            self._gauges[name].labels(stream).set_function(value)

    def loaded(self, not_after: Mapping[str, float]) -> None:
        """Note when the certificates in use end; see `CertificateMetrics`."""
        for certificate, end in not_after.items():
            self._not_after.labels(certificate).set(end)

    def reloaded(self, result: str) -> None:
        """Count a reload of the certificate files; see `CertificateMetrics`."""
        self._reloads.labels(result).inc()

    def _of_streams(self, registry: CollectorRegistry) -> None:
        texts = {
            "next": ("next_offset", "Offset that the next record of the stream gets."),
            "lowest": ("lowest_offset", "Offset of the first record that is kept."),
            "bytes": ("stored_bytes", "Bytes of the stream's segments."),
            "segments": ("segments", "Segments of the stream."),
            "refused": (
                "writes_refused",
                "1 when the disk failed and no record is taken until a restart.",
            ),
            "unreachable": (
                "unreachable",
                "1 when the servers of JetStream did not answer a moment ago.",
            ),
            "torn": ("torn_bytes", "Bytes that the last start cut off the tail."),
        }
        self._gauges = {
            key: Gauge(
                f"httpserver_commitlog_{name}", text, ["stream"], registry=registry
            )
            for key, (name, text) in texts.items()
        }

    def _of_certificates(self, registry: CollectorRegistry) -> None:
        self._not_after = Gauge(
            "httpserver_grpc_certificate_not_after_timestamp_seconds",
            "When the first certificate of a file in use ends.",
            ["certificate"],
            registry=registry,
        )
        self._reloads = Counter(
            "httpserver_grpc_certificate_reloads_total",
            "Reloads of the certificate files, by result.",
            ["result"],
            registry=registry,
        )
        for each in RELOADS:
            self._reloads.labels(each)
