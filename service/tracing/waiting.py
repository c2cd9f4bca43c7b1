"""
The spans that wait for their export: no more than the settings allow.

OpenTelemetry's own batches are used as they are; what is too much is turned away before
it gets there, because they tell nobody when they drop.
"""

import threading
from collections.abc import Callable, Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from typing_extensions import override

from service.observability.tracing_metrics import TracingMetrics

__all__ = ["SpanQueue"]

_BATCH = 512
"""Spans of one export, as many as OpenTelemetry suggests."""


class SpanQueue(SpanProcessor):
    """
    Lets spans wait, and counts those for which there is no room.

    Args:
        exporter: Where they go.
        size: Spans that may wait, those of the export under way included.
        interval: Seconds until what waits is exported.
        metrics: What counts.

    Concurrency:
        Any thread.
    """

    def __init__(
        self,
        exporter: SpanExporter,
        *,
        size: int,
        interval: float,
        metrics: TracingMetrics,
    ) -> None:
        self._size = size
        self._waiting = 0
        self._lock = threading.Lock()
        self._metrics = metrics
        self._batches = BatchSpanProcessor(
            _Leaving(exporter, self._left),
            max_queue_size=size,
            schedule_delay_millis=interval * 1000,
            max_export_batch_size=min(_BATCH, size),
        )

    @override
    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Do nothing."""

    @override
    def on_end(self, span: ReadableSpan) -> None:
        """Let a sampled span wait, if there is room."""
        if not (span.context and span.context.trace_flags.sampled):
            return
        with self._lock:
            full = self._waiting >= self._size
            if not full:
                self._waiting += 1
        if full:
            self._metrics.queue_full.inc()
        else:
            self._batches.on_end(span)

    @override
    def shutdown(self) -> None:
        """Export what waits, and end; blocks."""
        self._batches.shutdown()

    @override
    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Export what waits; blocks."""
        return self._batches.force_flush(timeout_millis)

    def _left(self, spans: int) -> None:
        with self._lock:
            self._waiting -= spans


class _Leaving(SpanExporter):
    """Exports, and tells how many no longer wait."""

    def __init__(self, exporter: SpanExporter, left: Callable[[int], None]) -> None:
        self._exporter = exporter
        self._left = left

    @override
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            return self._exporter.export(spans)
        finally:
            self._left(len(spans))

    @override
    def shutdown(self) -> None:
        self._exporter.shutdown()

    @override
    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._exporter.force_flush(timeout_millis)
