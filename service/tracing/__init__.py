"""
Traces: a span of each request, by OpenTelemetry, and the way of its ids to others.

Handlers need nothing of ours: `opentelemetry.trace.get_tracer(name)` makes spans below
that of the request. What calls other services takes `inject` or `metadata` along.

The SDK is imported by what `assembly` puts together, so only where tracing is on.
"""

from service.tracing.propagation import inject, metadata

__all__ = ["inject", "metadata"]
