"""Spans in the log, for a developer without a collector."""

from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import format_span_id, format_trace_id
from typing_extensions import override

from service.observability.logging import get_logger

__all__ = ["LogExporter"]


class LogExporter(SpanExporter):
    """Writes each span as a line: standard output has lines of one form alone."""

    def __init__(self) -> None:
        self._log = get_logger("httpserver.tracing")

    @override
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write *spans*."""
        for each in spans:
            self._write(each)
        return SpanExportResult.SUCCESS

    def _write(self, span: ReadableSpan) -> None:
        ids = span.get_span_context()
        parent = span.parent
        self._log.info(
            "span",
            name=span.name,
            kind=span.kind.name.lower(),
            status=span.status.status_code.name.lower(),
            duration=((span.end_time or 0) - (span.start_time or 0)) / 1e9,
            trace_id=format_trace_id(ids.trace_id) if ids else None,
            span_id=format_span_id(ids.span_id) if ids else None,
            parent_span_id=format_span_id(parent.span_id) if parent else None,
            attributes=dict(span.attributes or {}),
            events=[
                {"name": each.name, **(each.attributes or {})} for each in span.events
            ],
        )

    @override
    def shutdown(self) -> None:
        """Do nothing."""

    @override
    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Do nothing: nothing waits here."""
        return True
