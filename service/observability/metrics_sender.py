"""Takes metric families to an OpenTelemetry collector, by gRPC or HTTP."""

import time
from collections.abc import Callable, Iterable

from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricExportResult,
    MetricsData,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client.metrics_core import Metric as Family

from service.observability.otlp import grpc_options, http_options
from service.observability.otlp_families import otlp_metrics
from service.settings import OtlpSettings

__all__ = ["MetricsSender"]


class MetricsSender:
    """
    Sends what it is given, with the settings in force at that moment.

    Args:
        settings: Gives where to; a change takes effect at the next call.
        resource: Who sends.

    Concurrency:
        One call at a time, in any thread; `close` while one is under way ends its
        retries.
    """

    def __init__(
        self, settings: Callable[[], OtlpSettings], *, resource: Resource
    ) -> None:
        self._settings = settings
        self._resource = resource
        self._scope = InstrumentationScope("httpserver")
        self._began = time.time_ns()
        self._used: OtlpSettings | None = None
        self._exporter: MetricExporter | None = None

    def __call__(self, families: Iterable[Family]) -> bool:
        """
        Send *families* and return whether the collector took them.

        Raises:
            OSError: The authorities' file can't be read.
        """
        metrics = otlp_metrics(families, start=self._began, now=time.time_ns())
        scope = ScopeMetrics(self._scope, metrics, schema_url="")
        everything = ResourceMetrics(self._resource, [scope], schema_url="")
        answer = self._current().export(MetricsData([everything]))
        return answer is MetricExportResult.SUCCESS

    def close(self) -> None:
        """End the connection."""
        if self._exporter is not None:
            self._exporter.shutdown()

    def _current(self) -> MetricExporter:
        """Return the exporter for the settings in force; make it anew on a change."""
        wanted = self._settings()
        if self._exporter is None or wanted != self._used:
            self.close()
            self._exporter, self._used = _exporter(wanted), wanted
        return self._exporter


def _exporter(settings: OtlpSettings) -> MetricExporter:
    # each brings its own transport along: only the one that is used is imported
    if settings.protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import (
            OTLPMetricExporter as GrpcExporter,
        )

        return GrpcExporter(**grpc_options(settings))
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import (
        OTLPMetricExporter as HttpExporter,
    )

    return HttpExporter(**http_options(settings, signal="metrics"))
