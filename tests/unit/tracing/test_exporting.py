"""Where spans go, and what becomes of those that do not get there."""

import asyncio
import logging
import os
import subprocess
import sys
import threading

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from prometheus_client import CollectorRegistry

from service.observability.export_reasons import Reasons
from service.observability.metrics import Metrics
from service.observability.tracing_metrics import TracingMetrics
from service.server.routes import Route
from service.settings import OtlpSettings
from service.tracing import assembly, exporting
from service.tracing.console import LogExporter
from service.tracing.exporting import Outlet, otlp_exporter
from service.tracing.waiting import SpanQueue
from tests.support.tracing import Store, nobodys_provider, traced


class FakeExporter(SpanExporter):
    """Does what a test says."""

    def __init__(self, settings=None, answer=SpanExportResult.SUCCESS):
        self.settings = settings
        self.answer = answer
        self.spans = []
        self.closed = False
        self.open = threading.Event()
        self.open.set()

    def export(self, spans):
        self.open.wait(10)
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is SpanExportResult.FAILURE:
            logging.getLogger("opentelemetry.exporter.x").error("%s is away", "it")
        else:
            self.spans += spans
        return self.answer

    def shutdown(self):
        self.closed = True
        self.open.set()


class Bench:
    """An outlet, its exporters and its counts."""

    def __init__(self):
        self.settings = OtlpSettings()
        self.made = []
        self.registry = CollectorRegistry()
        self.metrics = TracingMetrics(self.registry)
        self.outlet = Outlet(
            lambda: self.settings, make=self.make, metrics=self.metrics
        )
        self.answer = SpanExportResult.SUCCESS

    def make(self, settings):
        self.made.append(FakeExporter(settings, self.answer))
        return self.made[-1]

    def counted(self):
        def value(name, **labels):
            return self.registry.get_sample_value(f"httpserver_trace_{name}", labels)

        return {
            "exported": value("spans_exported_total"),
            "queue_full": value("spans_dropped_total", reason="queue_full"),
            "failed": value("spans_dropped_total", reason="export_failed"),
            "failures": value("export_failures_total"),
        }


@pytest.fixture
def bench():
    made = Bench()
    made.outlet.reasons.listen()
    yield made
    made.outlet.reasons.leave()


def spans(count):
    """As many spans that have ended."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("t")
    made = [tracer.start_span(f"s{number}") for number in range(count)]
    for each in made:
        each.end()
    return made


def test_exported_spans_are_counted(bench):
    """One exporter takes them all, made when it is first needed."""
    assert not bench.made

    assert bench.outlet.export(spans(2)) is SpanExportResult.SUCCESS
    bench.outlet.export(spans(1))

    assert len(bench.made) == 1
    assert len(bench.made[0].spans) == 3
    assert bench.counted() == {
        "exported": 3.0,
        "queue_full": 0.0,
        "failed": 0.0,
        "failures": 0.0,
    }


def test_collector_that_is_away_is_told_once_and_its_return_too(bench, log):
    """With the library's reason, whose own lines are not written."""
    bench.answer = SpanExportResult.FAILURE
    for _ in range(3):
        bench.outlet.export(spans(2))
    bench.made[0].answer = SpanExportResult.SUCCESS
    bench.outlet.export(spans(2))

    lost, again = log.lines
    assert (lost["event"], lost["level"]) == ("spans_not_exported", "warning")
    assert (lost["spans"], lost["reason"]) == (2, "it is away")
    assert (again["event"], again["lost"]) == ("spans_exported_again", 6)
    assert bench.counted() == {
        "exported": 2.0,
        "queue_full": 0.0,
        "failed": 6.0,
        "failures": 3.0,
    }


def test_collector_that_stays_away_is_told_of_again(bench, log, monkeypatch):
    """Once in a while, with all that was lost so far."""
    bench.answer = SpanExportResult.FAILURE
    now = 1000.0
    monkeypatch.setattr(exporting.time, "monotonic", lambda: now)
    bench.outlet.export(spans(1))
    now = 1059.0
    bench.outlet.export(spans(1))
    now = 1060.0
    bench.outlet.export(spans(1))

    assert [line["spans"] for line in log.lines] == [1, 3]


def test_exporter_that_raises_loses_its_spans_and_nothing_else(bench, log):
    """Such as one whose authorities can't be read."""
    bench.answer = OSError("no such file")

    assert bench.outlet.export(spans(1)) is SpanExportResult.FAILURE
    assert log.lines[0]["reason"] == "OSError: no such file"


def test_other_headers_make_another_exporter(bench):
    """Live, at the next export; the old one lets go of its connection."""
    bench.outlet.export(spans(1))
    bench.settings = OtlpSettings(headers={"authorization": "new"})
    bench.outlet.export(spans(1))

    first, second = bench.made
    assert first.closed
    assert not second.closed
    assert second.settings.headers["authorization"].get_secret_value() == "new"


def test_other_authorities_make_another_exporter(bench, tmp_path):
    """A certificate that is renewed in its place counts without a restart."""
    file = tmp_path / "ca.crt"
    file.write_text("one")
    bench.settings = OtlpSettings(ca_file=str(file))
    bench.outlet.export(spans(1))
    bench.outlet.export(spans(1))
    assert len(bench.made) == 1

    changed = file.stat().st_mtime_ns + 1
    os.utime(file, ns=(changed, changed))
    bench.outlet.export(spans(1))

    assert len(bench.made) == 2


def test_aborted_outlet_refuses_at_once(bench):
    """What is under way is ended by its exporter; the rest is lost and counted."""
    bench.outlet.export(spans(1))
    bench.outlet.abort()

    assert bench.made[0].closed
    assert bench.outlet.export(spans(2)) is SpanExportResult.FAILURE
    assert bench.counted()["failed"] == 2


def test_full_queue_drops_and_counts(bench):
    """New spans, until there is room again."""
    exporter = FakeExporter()
    exporter.open.clear()
    queue = SpanQueue(exporter, size=3, interval=60, metrics=bench.metrics)
    tracer = provider_of(queue).get_tracer("t")
    for number in range(5):
        tracer.start_span(str(number)).end()
    exporter.open.set()
    queue.force_flush()
    tracer.start_span("later").end()
    queue.shutdown()

    assert [each.name for each in exporter.spans] == ["0", "1", "2", "later"]
    assert bench.counted()["queue_full"] == 2


def provider_of(queue):
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(queue)
    return provider


async def hello(ctx):
    return ctx.write_text("")


HELLO = Route(path="/", handler=hello)


async def test_stop_exports_what_waits():
    """All of it, more than one batch too."""
    async with traced(HELLO, interval=600) as app:
        for _ in range(600):
            await app.client.get("/")

        assert len(await app.spans()) == 600
        assert app.value("httpserver_trace_spans_exported_total") == 600


async def test_stop_gives_up_a_collector_that_hangs(monkeypatch):
    """Within its limit; what was lost is counted."""
    monkeypatch.setattr(assembly, "FLUSH_LIMIT", 0.05)
    async with traced(HELLO, interval=600) as app:
        hanging = FakeExporter(answer=SpanExportResult.FAILURE)
        hanging.open.clear()
        app.part._outlet._make = lambda _settings: hanging
        await app.client.get("/")
        async with asyncio.timeout(20):
            await app.part.stop()

        lost = {"reason": "export_failed"}
        assert hanging.closed
        assert app.value("httpserver_trace_spans_dropped_total", **lost) == 1


async def test_part_that_was_never_started_stops():
    """The start of another may fail before."""
    store = Store(tracing={"exporter": "console"})
    metrics = Metrics(store.current.metrics, version="1")

    await assembly.tracing(store, metrics).part.stop()


async def test_provider_that_is_there_already_is_kept(log):
    """An agent around the process, or another service in it, came first."""
    with nobodys_provider():
        async with traced(HELLO) as first:
            metrics = Metrics(first.store.current.metrics, version="2")
            second = assembly.tracing(first.store, metrics)
            await second.part.start()
            await second.part.stop()

            assert trace.get_tracer_provider() is first.part._provider
    assert [line["event"] for line in log.lines] == ["tracer_provider_kept"]


def test_log_is_left_as_it_was():
    """Levels and handlers of the library's loggers."""
    exporters = logging.getLogger("opentelemetry.exporter")
    noisy = logging.getLogger("opentelemetry.trace")
    reasons = Reasons()
    reasons.listen()
    assert not exporters.propagate
    assert noisy.level == logging.CRITICAL
    reasons.leave()

    assert exporters.propagate
    assert reasons not in exporters.handlers
    assert noisy.level == logging.NOTSET


def test_log_stays_quiet_until_the_last_listener_leaves():
    """Spans and metrics listen to the same exporters."""
    exporters = logging.getLogger("opentelemetry.exporter")
    first, second = Reasons(), Reasons()
    first.listen()
    second.listen()
    first.leave()
    assert not exporters.propagate
    second.leave()

    assert exporters.propagate


def test_logger_with_a_level_of_its_own_is_written(monkeypatch):
    """Whoever sets it wants to read it."""
    exporters = logging.getLogger("opentelemetry.exporter")
    monkeypatch.setattr(exporters, "level", logging.DEBUG)
    reasons = Reasons()
    reasons.listen()
    assert exporters.propagate
    reasons.leave()


def test_console_writes_a_line_for_each_span(log):
    """In the log's own form, so that standard output stays readable by programs."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("t")
    with tracer.start_as_current_span("outer", attributes={"token": "t"}) as outer:
        outer.add_event("happened", {"a": 1})
        with tracer.start_as_current_span("inner") as inner:
            pass
    exporter = LogExporter()
    exporter.export([inner, outer])
    exporter.force_flush()
    exporter.shutdown()

    below, above = log.lines
    assert below["parent_span_id"] == above["span_id"]
    assert below["trace_id"] == above["trace_id"]
    assert (above["event"], above["name"], above["kind"]) == (
        "span",
        "outer",
        "internal",
    )
    assert above["attributes"] == {"token": "**********"}
    assert above["events"] == [{"name": "happened", "a": 1}]
    assert above["parent_span_id"] is None


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_exporter_is_the_librarys(protocol):
    """Each by the transport that the settings name."""
    exporter = otlp_exporter(OtlpSettings(protocol=protocol))
    exporter.shutdown()

    assert f"otlp.proto.{protocol}" in type(exporter).__module__


def test_off_imports_nothing_and_filters_nothing():
    """The default costs no time at the start and none per request."""
    code = """
import sys
from service.app import create_app
app = create_app()
assert not [n for n in sys.modules if n.startswith(("opentelemetry.sdk", "grpc"))]
assert "service.tracing.assembly" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
