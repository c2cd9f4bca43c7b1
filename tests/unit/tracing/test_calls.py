"""Calls by gRPC have spans: below the caller's, with the code they ended with."""

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from service.observability.logging import get_logger
from service.tracing.calls import call_span
from tests.support.tracing import CALLER, traced

METHOD = "log.v1.LogService/Produce"
METADATA = (("traceparent", f"00-{CALLER[0]}-{CALLER[1]}-01"), ("key-bin", b"\xff"))


async def test_call_continues_the_callers_trace(log):
    """Name, attributes and ids, which log lines have too."""
    async with traced() as made:
        with call_span(METHOD, METADATA, trusted=True) as told:
            get_logger("test").info("within")
            told("OK")
        span = await made.span()
    line = next(each for each in log.lines if each["event"] == "within")

    assert (span.name, span.kind) == (METHOD, SpanKind.SERVER)
    assert f"{span.context.trace_id:032x}" == line["trace_id"] == CALLER[0]
    assert f"{span.parent.span_id:016x}" == CALLER[1]
    assert f"{span.context.span_id:016x}" == line["span_id"]
    assert span.attributes["rpc.system.name"] == "grpc"
    assert span.attributes["rpc.response.status_code"] == "OK"
    assert span.status.status_code is StatusCode.UNSET


async def test_caller_who_is_not_trusted_begins_a_trace_of_ours(log):
    """What it tells of its trace is not believed."""
    async with traced() as made:
        with call_span(METHOD, METADATA, trusted=False):
            pass
        span = await made.span()

    assert span.parent is None


@pytest.mark.parametrize(
    ("code", "status"),
    [("INTERNAL", StatusCode.ERROR), ("OUT_OF_RANGE", StatusCode.UNSET)],
    ids=["ours", "the caller's"],
)
async def test_span_fails_when_the_service_does(log, code, status):
    """A client's mistake is no error of the service."""
    async with traced() as made:
        with call_span(METHOD, (), trusted=True) as told:
            told(code)
        span = await made.span()

    assert span.status.status_code is status
