"""The ids of a trace: from callers to handlers, the log and calls to others."""

import asyncio
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage, trace

from service.server.routes import Route
from service.server.typed_routes import TypedRoutes
from service.tracing import inject, metadata
from service.tracing.propagation import extracted
from tests.support.tracing import CALLER, traced

TRACE, SPAN = CALLER


def parent(flags="01"):
    return {"traceparent": f"00-{TRACE}-{SPAN}-{flags}"}


def calling(seen):
    """A route whose handler calls another service."""

    async def handler(ctx):
        headers = {"accept": "*/*"}
        inject(headers)
        seen.append(headers)
        return ctx.write_text("")

    return Route(path="/calls", handler=handler)


def hexed(number, digits):
    return f"{number:0{digits}x}"


async def test_trace_of_the_caller_goes_on_to_whom_the_handler_calls():
    """Trace, vendors' state and baggage; the parent there is our own span."""
    seen = []
    given_ = {**parent(), "tracestate": "a=1,b=2", "baggage": "user=ann,plan=gold"}
    async with traced(calling(seen)) as app:
        await app.client.get("/calls", headers=given_)
        span = await app.span()

    assert hexed(span.context.trace_id, 32) == TRACE
    assert hexed(span.parent.span_id, 16) == SPAN
    assert seen == [
        {
            "accept": "*/*",
            "traceparent": f"00-{TRACE}-{hexed(span.context.span_id, 16)}-01",
            "tracestate": "a=1,b=2",
            "baggage": "user=ann,plan=gold",
        }
    ]


async def test_caller_that_does_not_sample_is_followed():
    """No span, whatever our share; its trace goes on, with its decision."""
    seen = []
    headers = {**parent("00"), "tracestate": "a=1"}
    async with traced(calling(seen), sample_ratio=1) as app:
        await app.client.get("/calls", headers=headers)

        assert not await app.spans()
    assert seen[0]["traceparent"].startswith(f"00-{TRACE}-")
    assert seen[0]["traceparent"].endswith("-00")
    assert SPAN not in seen[0]["traceparent"]
    assert seen[0]["tracestate"] == "a=1"


async def test_caller_that_is_not_trusted_decides_nothing():
    """A trace of our own, by the share, and nothing of the caller's goes on; live."""
    seen = []
    sent = {**parent(), "tracestate": "a=1", "baggage": "user=ann"}
    async with traced(calling(seen), sample_ratio=0) as app:
        await app.client.get("/calls", headers={**sent, "x-request-id": "trusted"})
        app.store.change(tracing={"trust_callers": False})
        await app.client.get("/calls", headers={**sent, "x-request-id": "stranger"})
        span = await app.span()

    assert span.attributes["httpserver.request_id"] == "trusted"
    assert seen[1].keys() == {"accept", "traceparent"}
    assert TRACE not in seen[1]["traceparent"]
    assert seen[1]["traceparent"].endswith(("-00", "-02"))


async def test_caller_that_samples_is_followed():
    """A span, although nothing that begins here is traced."""
    async with traced(calling([]), sample_ratio=0) as app:
        await app.client.get("/calls", headers=parent())

        assert len(await app.spans()) == 1


@pytest.mark.parametrize(
    "headers",
    [
        [("traceparent", "x")],
        [("traceparent", f"00-{TRACE}-{SPAN}-01-more")],
        [("traceparent", f"ff-{TRACE}-{SPAN}-01")],
        [("traceparent", f"00-{'0' * 32}-{SPAN}-01")],
        [("traceparent", f"00-{TRACE.upper()}-{SPAN}-01")],
        [("traceparent", f"00-{TRACE}-{SPAN}-01")] * 2,
        [("baggage", "@@;;==")],
        [("tracestate", "a=1")],
    ],
)
async def test_malformed_headers_are_ignored(headers, log):
    """A trace of our own begins, and no client fills the log."""
    async with traced(calling([])) as app:
        answer = await app.client.get("/calls", headers=headers)
        span = await app.span()

    assert answer.status_code == 200
    assert span.parent is None
    assert hexed(span.context.trace_id, 32) != TRACE
    assert [line["event"] for line in log.lines] == ["request"]


async def test_malformed_state_leaves_the_trace(log):
    """The ids are good, so they are used; the state is dropped without a word."""
    seen = []
    async with traced(calling(seen)) as app:
        await app.client.get("/calls", headers={**parent(), "tracestate": "a b c"})
        span = await app.span()

    assert hexed(span.context.trace_id, 32) == TRACE
    assert "tracestate" not in seen[0]
    assert [line["event"] for line in log.lines] == ["request"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"traceparent", b"tracestate", b"baggage"]),
            st.binary(max_size=80),
        ),
        max_size=5,
    )
)
def test_whatever_a_client_sends_is_read(headers):
    """No bytes raise."""
    context = extracted(headers)

    assert trace.get_current_span(context) is not None


async def test_baggage_can_be_read_by_handlers():
    """Also where no trace came with it."""
    seen = []

    async def handler(ctx):
        seen.append(baggage.get_all())
        return ctx.write_text("")

    async with traced(Route(path="/b", handler=handler), sample_ratio=0) as app:
        await app.client.get("/b", headers=[("baggage", "a=1"), ("baggage", "b=2")])

    assert seen == [{"a": "1", "b": "2"}]


def test_nothing_is_injected_outside_of_requests():
    """Nor where tracing is off."""
    headers = {}
    inject(headers)

    assert headers == {}
    assert metadata() == ()


async def test_metadata_is_for_grpc():
    """Pairs, names in lower case."""
    seen = []

    async def handler(ctx):
        seen.append(metadata())
        return ctx.write_text("")

    async with traced(Route(path="/grpc", handler=handler)) as app:
        await app.client.get("/grpc", headers=parent())

    (((name, value),),) = seen
    assert name == "traceparent"
    assert value.startswith(f"00-{TRACE}-")


def working():
    with trace.get_tracer("work").start_as_current_span("work"):
        return threading.get_ident()


async def in_the_handler(ctx):
    working()
    return ctx.write_text("")


async def in_a_task(ctx):
    async def task():
        working()

    await asyncio.create_task(task())
    return ctx.write_text("")


async def in_a_thread(ctx):
    await asyncio.to_thread(working)
    return ctx.write_text("")


def typed():
    found = TypedRoutes(title="t", version="1")

    @found.api.get("/typed")
    async def typed_route() -> int:
        return working()

    @found.api.get("/threaded")
    def threaded_route() -> int:
        return working()

    return list(found.routes())


@pytest.mark.parametrize(
    "path", ["/handler", "/task", "/thread", "/typed", "/threaded"]
)
async def test_spans_of_handlers_are_below_that_of_the_request(path):
    """By OpenTelemetry's own API, wherever the handler's context goes."""
    core = [
        Route(path="/handler", handler=in_the_handler),
        Route(path="/task", handler=in_a_task),
        Route(path="/thread", handler=in_a_thread),
    ]
    async with traced(*core, *typed()) as app:
        answer = await app.client.get(path, headers=parent())
        work, request = await app.spans()

    assert answer.status_code == 200
    assert (work.name, request.name) == ("work", f"GET {path}")
    assert work.parent.span_id == request.context.span_id
    assert work.context.trace_id == request.context.trace_id


@pytest.mark.parametrize("path", ["/handler", "/typed"])
async def test_spans_of_handlers_follow_a_request_that_is_not_sampled(path):
    """Half a trace helps nobody."""
    routes = [Route(path="/handler", handler=in_the_handler), *typed()]
    async with traced(*routes) as app:
        app.store.change(tracing={"sample_ratio": 0})
        await app.client.get(path)

        assert not await app.spans()


async def test_requests_at_the_same_time_keep_their_ids_apart():
    """Each task has a context of its own."""
    meeting = asyncio.Barrier(10)
    seen = {}

    async def handler(ctx):
        await meeting.wait()
        seen[ctx.request_id] = trace.get_current_span().get_span_context().trace_id
        return ctx.write_text("")

    async with traced(Route(path="/meet", handler=handler)) as app:
        ids = [f"r{number}" for number in range(10)]
        calls = [app.client.get("/meet", headers={"x-request-id": id_}) for id_ in ids]
        await asyncio.gather(*calls)
        spans = await app.spans()

    told = {s.attributes["httpserver.request_id"]: s.context.trace_id for s in spans}
    assert told == seen
    assert len(set(seen.values())) == 10
