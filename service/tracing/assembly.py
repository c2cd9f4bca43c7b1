"""Puts tracing together: from settings to a filter and a part."""

import asyncio
import contextlib
import functools
import os
from collections.abc import Callable
from dataclasses import dataclass

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import (
    SpanLimits,
    SynchronousMultiSpanProcessor,
    TracerProvider,
)
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.semconv.schemas import Schemas

from service import __version__
from service.concurrency.future import Future
from service.config import SettingsStore
from service.observability.log_redaction import Redactor
from service.observability.logging import get_logger
from service.observability.metrics import Metrics
from service.observability.otlp import resource
from service.observability.tracing_metrics import TracingMetrics
from service.server.around import Around
from service.settings import OtlpSettings, TracingSettings
from service.tracing.console import LogExporter
from service.tracing.exporting import Outlet, otlp_exporter
from service.tracing.sampling import DrawnIds, Share, parent_based
from service.tracing.spans import ServerSpans
from service.tracing.waiting import SpanQueue

__all__ = ["SpanExport", "Tracing", "tracing"]

FLUSH_LIMIT = 3.0
"""Seconds that the last spans may hold up the end of the process."""

_ABORT_LIMIT = 0.5
"""Seconds that they may hold it up after they were given up."""

_SCHEMA = Schemas.V1_44_0.value
"""Version of the semantic conventions that the attributes keep to."""

_LONGEST = 4096
"""Characters of an attribute that are kept: clients choose paths and user agents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracing:
    """
    Tracing that is put together and not started.

    Attributes:
        filter: Makes a span of each request.
        part: Exports them.
    """

    filter: Around
    part: "SpanExport"


def tracing(
    store: SettingsStore, metrics: Metrics, *, exporter: SpanExporter | None = None
) -> Tracing:
    """
    Return tracing by the settings, whose exporter is not `none`.

    Args:
        store: The settings; share, trust, headers and what is masked are live.
        metrics: Where spans are counted.
        exporter: Where spans go, in place of what the settings say.
    """
    settings = store.current
    ids = DrawnIds()
    processor = SynchronousMultiSpanProcessor()
    share = Share(lambda: store.current.tracing.sample_ratio)
    provider = functools.partial(
        TracerProvider,
        resource=_resource(settings.server.name),
        active_span_processor=processor,
        span_limits=SpanLimits(max_attribute_length=_LONGEST),
        shutdown_on_exit=False,
    )
    entry = provider(sampler=ALWAYS_ON, id_generator=ids)
    spans = ServerSpans(
        tracer=entry.get_tracer("httpserver", __version__, _SCHEMA),
        ids=ids,
        share=share,
        probes=settings.tracing.probes,
        trusts=lambda: store.current.tracing.trust_callers,
        scrubbed=lambda text: _redactor(tuple(store.current.log.redact)).text(text),
    )
    part = SpanExport(
        settings.tracing,
        Outlet(
            lambda: store.current.tracing.otlp,
            make=_maker(settings.tracing, exporter),
            metrics=(counts := TracingMetrics(metrics.shared)),
        ),
        provider=provider(sampler=parent_based(share)),
        processor=processor,
        metrics=counts,
    )
    return Tracing(filter=spans.filter(), part=part)


class SpanExport:
    """
    The part that exports spans.

    Args:
        settings: How many may wait, and how long.
        outlet: Where they go.
        provider: Makes the tracers of handlers.
        processor: What all spans go through.
        metrics: What counts.

    Concurrency:
        Belongs to the main event loop.
    """

    name = "tracing"

    def __init__(
        self,
        settings: TracingSettings,
        outlet: Outlet,
        *,
        provider: TracerProvider,
        processor: SynchronousMultiSpanProcessor,
        metrics: TracingMetrics,
    ) -> None:
        self._settings = settings
        self._outlet = outlet
        self._provider = provider
        self._processor = processor
        self._metrics = metrics
        self._log = get_logger("httpserver.tracing")
        self._waiting: SpanQueue | None = None

    async def start(self) -> None:
        """Export from now on, what handlers' own tracers make too."""
        self._outlet.reasons.listen()
        self._waiting = SpanQueue(
            self._outlet,
            size=self._settings.queue_size,
            interval=self._settings.interval,
            metrics=self._metrics,
        )
        self._processor.add_span_processor(self._waiting)
        if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            trace.set_tracer_provider(self._provider)
        else:
            self._log.warning("tracer_provider_kept")

    async def stop(self) -> None:
        """Export what waits; give up what a collector does not take in time."""
        if self._waiting is None:
            return
        # not in the loop's own threads: it would wait for them, however long it takes
        ended = Future.in_thread(self._waiting.shutdown, name="tracing")
        if not await _within(FLUSH_LIMIT, ended):
            self._outlet.abort()
            await _within(_ABORT_LIMIT, ended)
        self._outlet.reasons.leave()


async def _within(seconds: float, ended: Future[None]) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await ended
    return ended.done


def _maker(
    settings: TracingSettings, exporter: SpanExporter | None
) -> Callable[[OtlpSettings], SpanExporter]:
    if exporter is not None:
        return lambda _settings: exporter
    if settings.exporter == "console":
        return lambda _settings: LogExporter()
    return otlp_exporter


def _resource(name: str) -> Resource:
    """Return who the spans come from; workers are told apart by their process."""
    return resource(name, version=__version__).merge(
        Resource({"process.pid": os.getpid()})
    )


@functools.lru_cache(maxsize=2)
def _redactor(names: tuple[str, ...]) -> Redactor:
    return Redactor(names)
