"""
The way of spans out of the process: to a collector, or into the log.

The exporters and the queue are OpenTelemetry's own. Around them is what they lack:
settings that change while they run, a count of what is lost, one line in the log for a
collector that is away instead of one per attempt, and an end that can be waited for.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from typing_extensions import override

from service.observability.export_reasons import Reasons
from service.observability.logging import get_logger
from service.observability.tracing_metrics import TracingMetrics
from service.settings import OtlpSettings

__all__ = ["Outlet", "otlp_exporter"]

_TELL_AGAIN = 60.0
"""Seconds until a collector that is still away is told of again."""


class _MadeOf(NamedTuple):
    """What an exporter was made of: it is made anew when that changes."""

    settings: OtlpSettings
    authorities: int


class Outlet(SpanExporter):
    """
    Exports with the settings of the moment, and counts what comes of it.

    Args:
        settings: Gives where to; asked at each export.
        make: Makes an exporter.
        metrics: What counts.

    Concurrency:
        `export` in one thread at a time, `abort` in any.
    """

    def __init__(
        self,
        settings: Callable[[], OtlpSettings],
        *,
        make: Callable[[OtlpSettings], SpanExporter],
        metrics: TracingMetrics,
    ) -> None:
        self._settings = settings
        self._make = make
        self._metrics = metrics
        self._made_of: _MadeOf | None = None
        self._exporter: SpanExporter | None = None
        self._aborted = False
        self._told = 0.0
        self._lost = 0
        self._log = get_logger("httpserver.tracing")
        self.reasons = Reasons()

    @override
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export *spans*; a failure is counted and told, never raised."""
        reason = self._failure(spans)
        if reason is None:
            self._metrics.exported.inc(len(spans))
            self._tell_recovery()
            return SpanExportResult.SUCCESS
        self._metrics.failures.inc()
        self._metrics.not_exported.inc(len(spans))
        self._tell_loss(len(spans), reason)
        return SpanExportResult.FAILURE

    @override
    def shutdown(self) -> None:
        """Let go of the connection."""
        exporter, self._exporter = self._exporter, None
        if exporter is not None:
            exporter.shutdown()

    @override
    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Do nothing: nothing waits here."""
        return True

    def abort(self) -> None:
        """End the export that is under way, and refuse those that follow."""
        self._aborted = True
        exporter = self._exporter
        if exporter is not None:
            exporter.shutdown()

    def _failure(self, spans: Sequence[ReadableSpan]) -> str | None:
        """Export, and return why that failed, if it did."""
        if self._aborted:
            return "the service stops"
        with self.reasons.heard() as reasons:
            try:
                done = self._current().export(spans)
            except Exception as error:  # noqa: BLE001 - an exporter may raise anything
                return f"{type(error).__name__}: {error}"
        if done is SpanExportResult.SUCCESS:
            return None
        return reasons[-1] if reasons else "unknown"

    def _current(self) -> SpanExporter:
        """Return the exporter for the settings in force; make it anew on a change."""
        settings = self._settings()
        wanted = _MadeOf(settings, _changed_at(settings.ca_file))
        if self._exporter is None or wanted != self._made_of:
            self.shutdown()
            self._exporter, self._made_of = self._make(settings), wanted
        return self._exporter

    def _tell_loss(self, spans: int, reason: str) -> None:
        self._lost += spans
        now = time.monotonic()
        if not self._told or now - self._told >= _TELL_AGAIN:
            self._told = now
            self._log.warning("spans_not_exported", spans=self._lost, reason=reason)

    def _tell_recovery(self) -> None:
        if self._told:
            self._log.info("spans_exported_again", lost=self._lost)
            self._told, self._lost = 0.0, 0


def _changed_at(path: str) -> int:
    """Return when a file was written, in nanoseconds; 0 where there is none."""
    try:
        return Path(path).stat().st_mtime_ns if path else 0
    except OSError:
        return 0


def otlp_exporter(settings: OtlpSettings) -> SpanExporter:
    """
    Return OpenTelemetry's exporter for *settings*.

    Raises:
        OSError: The file of the authorities can't be read.
    """
    from service.observability.otlp import grpc_options, http_options

    # each brings its own transport along: only the one that is used is imported
    if settings.protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (
            OTLPSpanExporter as GrpcExporter,
        )

        return GrpcExporter(**grpc_options(settings))
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
        OTLPSpanExporter as HttpExporter,
    )

    return HttpExporter(**http_options(settings, signal="traces"))
