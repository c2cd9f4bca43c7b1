"""
FastAPI with traces: one request in a hundred, to the collector of BENCH_COLLECTOR.

By FastAPI's own telemetry, and by OpenTelemetry's instrumentation of it; metrics and
logs of either are off, so that nothing but traces is compared.
"""

import os

from fastapi import FastAPI
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

from tests.bench.peers.typed import version

__all__ = ["by_contrib", "by_fastapi"]


def by_fastapi():
    """Return FastAPI with a tracer provider; a factory for uvicorn."""
    off = {"metrics": False, "logs": False, "operation_spans": False}
    app = FastAPI(telemetry={"tracer_provider": _provider(), **off})
    app.get("/version")(version)
    return app


def by_contrib():
    """Return FastAPI as the instrumentation's documentation has it."""
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

    app = FastAPI(telemetry={"tracing": False})
    app.get("/version")(version)
    FastAPIInstrumentor.instrument_app(
        app, tracer_provider=_provider(), exclude_spans=["receive", "send"]
    )
    return app


def _provider() -> TracerProvider:
    provider = TracerProvider(sampler=ParentBasedTraceIdRatio(0.01))
    exporter = OTLPSpanExporter(endpoint=f"{os.environ['BENCH_COLLECTOR']}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider
