"""Where the ids of a trace are told: log lines, the access line, exemplars."""

import asyncio
import logging

import pytest
from opentelemetry import trace

from service.observability.access_log import AccessLog
from service.observability.logging import get_logger
from service.server.routes import Route
from tests.support.log import logged
from tests.support.tracing import traced


async def talks(ctx):
    get_logger("test").info("outside")
    with trace.get_tracer("work").start_as_current_span("work"):
        logging.getLogger("library").info("inside")
        await asyncio.to_thread(get_logger("test").info, "thread")
    return ctx.write_text("")


TALKS = Route(path="/talks", handler=talks)


async def test_each_line_of_a_request_has_the_ids_of_its_span(log):
    """Ours, those of libraries and threads: the innermost span; and the access line."""
    async with traced(TALKS) as app:
        await app.client.get("/talks")
        work, request = await app.spans()

    trace_id = f"{request.context.trace_id:032x}"
    outer, inner = (f"{each.context.span_id:016x}" for each in (request, work))
    told = {line["event"]: (line["trace_id"], line["span_id"]) for line in log.lines}
    assert told == {
        "outside": (trace_id, outer),
        "inside": (trace_id, inner),
        "thread": (trace_id, inner),
        "request": (trace_id, outer),
    }


async def test_lines_of_a_request_that_is_not_sampled_have_ids_too(log):
    """They still put together what one request wrote, here and in other services."""
    async with traced(TALKS, sample_ratio=0) as app:
        await app.client.get("/talks")

    ids = {line["event"]: line["span_id"] for line in log.lines}
    assert len({line["trace_id"] for line in log.lines}) == 1
    assert ids["request"] == ids["outside"]
    assert ids["thread"] == ids["inside"] != ids["outside"]


async def test_lines_outside_of_requests_have_none(log):
    """Nothing is left behind by the last request."""
    async with traced(TALKS) as app:
        await asyncio.create_task(app.client.get("/talks"))  # as the listener does
        get_logger("test").info("later")

    (later,) = [line for line in log.lines if line["event"] == "later"]
    assert "trace_id" not in later


@pytest.mark.parametrize("ids", [{}, {"trace_id": "0" * 31 + "1", "span_id": "0" * 16}])
def test_access_line_is_the_same_by_the_short_way(ids):
    """By hand, or by way of a name that can't be written by hand."""
    line = {"method": "GET", "route": "/", "status": 200, "duration": 0.1}
    line |= {"bytes": 1, "client": "1.2.3.4", "request_id": "r"} | ids
    with logged() as log:
        AccessLog().write(path="/a", **line)
        AccessLog().write(path="/ä", **line)

    short, long = log.lines
    assert list(short) == list(long)
    assert {**short, "path": "", "timestamp": ""} == {
        **long,
        "path": "",
        "timestamp": "",
    }


def test_access_line_masks_ids_that_the_settings_name():
    """Whoever calls them secret gets what was asked for."""
    ids = {"trace_id": "1" * 32, "span_id": "2" * 16}
    line = {"method": "GET", "route": "/", "status": 200, "duration": 0.1}
    line |= {"bytes": 1, "client": "1.2.3.4", "request_id": "r"} | ids
    with logged(redact=["trace"]) as log:
        AccessLog().write(path="/a", **line)

    assert log.lines[0]["trace_id"] == "**********"


@pytest.mark.parametrize(("ratio", "wanted"), [(1, True), (0, False)])
async def test_latency_leads_to_the_traces_that_are_kept(ratio, wanted):
    """An exemplar of a trace that nobody has would lead nowhere."""
    async with traced(TALKS, sample_ratio=ratio) as app:
        await app.client.get("/talks")
        body, _ = app.metrics.render("application/openmetrics-text")
        spans = await app.spans()

    found = [line for line in body.decode().splitlines() if " # {trace_id=" in line]
    assert bool(found) == wanted
    for line in found:
        assert line.startswith("http_request_duration_seconds_bucket")
        assert f'{spans[-1].context.trace_id:032x}"' in line
