"""Which requests are traced."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

from service.server.routes import Route
from service.tracing.sampling import Share, UnsampledSpan
from tests.support.tracing import traced


@given(
    ratio=st.floats(min_value=0, max_value=1),
    trace_id=st.integers(min_value=1, max_value=2**128 - 1),
)
def test_share_is_that_of_opentelemetry(ratio, trace_id):
    """Services with the same share pick the same traces, whoever decides."""
    expected = TraceIdRatioBased(ratio).should_sample(None, trace_id, "")
    own = Share(lambda: ratio)

    assert own.should_sample(None, trace_id, "").decision is expected.decision
    # the bound is rounded there, to one of 2^64 ids
    if abs((trace_id & (2**64 - 1)) - ratio * 2**64) > 2**12:
        assert own.takes(trace_id) == expected.decision.is_sampled()


@pytest.mark.parametrize(("ratio", "taken"), [(0.0, False), (1.0, True)])
def test_none_and_all_are_what_they_say(ratio, taken):
    """At both ends of the ids."""
    share = Share(lambda: ratio)

    assert share.takes(0) == taken
    assert share.takes(2**128 - 1) == taken


async def test_share_changes_live():
    """From the next request on."""

    async def hello(ctx):
        return ctx.write_text("")

    async with traced(Route(path="/", handler=hello), sample_ratio=0) as app:
        await app.client.get("/", headers={"x-request-id": "before"})
        app.store.change(tracing={"sample_ratio": 1})
        await app.client.get("/", headers={"x-request-id": "after"})
        span = await app.span()

    assert span.attributes["httpserver.request_id"] == "after"


def test_span_that_is_not_sampled_has_ids_and_takes_nothing():
    """What handlers do to it is done for nothing, and no error."""
    span = UnsampledSpan(7)
    span.set_attribute("a", 1)
    context = span.get_span_context()

    assert not span.is_recording()
    assert context.is_valid
    assert context.trace_id == 7
    assert not context.trace_flags.sampled
    assert context == span.get_span_context()
