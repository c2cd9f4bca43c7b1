"""An application whose requests are traced into memory."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.util._once import Once

from service.observability.access_log import AccessLog
from service.observability.metrics import Metrics
from service.server import filters
from service.server.application import Application
from service.server.delivery import deliver
from service.server.recording import access_log, measure
from service.server.routes import Route
from service.settings import Settings
from service.tracing.assembly import tracing
from tests.support.asgi import client

__all__ = ["CALLER", "Store", "Traced", "nobodys_provider", "traced"]

CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
"""Ids of a trace and of the span of a caller."""


class Store:
    """The settings, which a test changes as it likes."""

    def __init__(self, **sections: Any) -> None:
        self.current = Settings()
        self.change(**sections)

    def change(self, **sections: Any) -> None:
        whole = self.current.model_dump()
        for name, section in sections.items():
            whole[name] = whole[name] | section
        self.current = Settings.model_validate(whole)


class Traced:
    """
    A started application.

    Attributes:
        store: Its settings.
        metrics: What is measured.
        app: The application.
        client: A client of it.
        access_log: What writes a line for each request.
        part: What exports the spans.
    """

    def __init__(self, routes: list[Route], settings: dict[str, Any]) -> None:
        self.store = Store(tracing={"exporter": "console", **settings})
        self.metrics = Metrics(self.store.current.metrics, version="1")
        self.exporter = InMemorySpanExporter()
        self.access_log = AccessLog()
        made = tracing(self.store, self.metrics, exporter=self.exporter)
        self.part = made.part
        self.app = Application(
            filters=[
                filters.request_id,
                made.filter,
                access_log(self.access_log.write, wanted=lambda _ctx: True),
                measure(self.metrics.http),
                deliver,
            ],
            body_limit=lambda: 1000,
        )
        self.app.add(*routes)
        self.client = client(self.app)

    async def spans(self) -> list[ReadableSpan]:
        """Return what was exported, all of it."""
        await self.stop()
        return list(self.exporter.get_finished_spans())

    async def stop(self) -> None:
        """Export and write what waits."""
        await self.access_log.stop()
        await self.part.stop()

    async def span(self) -> ReadableSpan:
        """Return the one span that was exported."""
        (span,) = await self.spans()
        return span

    def value(self, name: str, **labels: str) -> float | None:
        """Return the value of a metric."""
        return self.metrics.registry.get_sample_value(name, labels)


@contextlib.asynccontextmanager
async def traced(*routes: Route, **settings: Any) -> AsyncIterator[Traced]:
    """Give an application with *routes*; keyword arguments are settings of tracing."""
    with nobodys_provider():
        made = Traced(list(routes), settings)
        await made.part.start()
        try:
            yield made
        finally:
            await made.client.aclose()
            await made.stop()


@contextlib.contextmanager
def nobodys_provider():
    """Let no tracer provider be set, which a process can otherwise do only once."""
    before = trace._TRACER_PROVIDER, trace._TRACER_PROVIDER_SET_ONCE
    trace._TRACER_PROVIDER, trace._TRACER_PROVIDER_SET_ONCE = None, Once()
    try:
        yield
    finally:
        trace._TRACER_PROVIDER, trace._TRACER_PROVIDER_SET_ONCE = before
