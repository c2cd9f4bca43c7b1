"""
The filter that makes a span of each request.

It stands outside the access log and the measurements, so that both know the ids, and
outside `deliver`, so that a span lasts until its answer is sent and has the status of
the wire. Whether a request is sampled is decided before anything is made of it: most
are not, and get no more than ids.
"""

import random
import sys
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

from opentelemetry.context import Context, attach
from opentelemetry.trace import (
    INVALID_SPAN,
    SpanKind,
    Tracer,
    format_span_id,
    get_current_span,
    set_span_in_context,
)
from structlog.contextvars import STRUCTLOG_KEY_PREFIX
from typing_extensions import override

from service.server.around import Around
from service.server.context import RequestContext
from service.server.recovery import STATUS_CLIENT_GONE
from service.tracing.attributes import request_attributes, span_name
from service.tracing.propagation import PROPAGATED, extracted
from service.tracing.recording import Recording
from service.tracing.sampling import DrawnIds, Share, UnsampledSpan

__all__ = ["ServerSpans"]

_RECORDING = "httpserver.recording"
"""Key of the request's state."""

_LOGGED_TRACE: ContextVar[object] = ContextVar(
    f"{STRUCTLOG_KEY_PREFIX}trace_id", default=...
)
_LOGGED_SPAN: ContextVar[object] = ContextVar(
    f"{STRUCTLOG_KEY_PREFIX}span_id", default=...
)
"""What structlog adds to each log line; set directly, because binding costs more."""


(_KEY,) = set_span_in_context(INVALID_SPAN, Context())
"""Where a context has its span; putting it there by hand takes a third of the time."""


class _CurrentSpan:
    """Stands for the id of the span that a log line is written in."""

    @override
    def __str__(self) -> str:
        return format_span_id(get_current_span().get_span_context().span_id)


_CURRENT = _CurrentSpan()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSpans:
    """
    Begins and ends the spans of requests.

    Args:
        tracer: Makes the spans of sampled requests; it samples all it is asked for.
        ids: Where that tracer takes the ids of traces from.
        share: Which traces that begin here are sampled.
        probes: Whether probes and scrapes are traced too.
        trusts: Whether callers are believed what they tell of their traces.
        scrubbed: Returns a text with what looks like a secret masked.

    Concurrency:
        For the event loop of one application.
    """

    tracer: Tracer
    ids: DrawnIds
    share: Share
    probes: bool
    trusts: Callable[[], bool]
    scrubbed: Callable[[str], str]

    def filter(self) -> Around:
        """Return the filter."""
        return Around(self._enter, self._leave)

    def _enter(self, ctx: RequestContext) -> None:
        if ctx.probe and not self.probes:
            return
        for name, _ in ctx.scope["headers"]:
            if name in PROPAGATED:
                if not self.trusts():
                    break
                self._begin_called(ctx)
                return
        trace_id = random.getrandbits(128)
        if self.share.takes(trace_id):
            self._begin_sampled(ctx, Context(), trace_id)
        else:
            span = UnsampledSpan(trace_id)
            _make_current(ctx, Context({_KEY: span}), trace_id, span.span_id)

    def _begin_called(self, ctx: RequestContext) -> None:
        """Begin the span of a request whose caller tells something of its trace."""
        caller = extracted(ctx.scope["headers"])
        parent = get_current_span(caller).get_span_context()
        if parent.is_valid:
            trace_id, sampled = parent.trace_id, parent.trace_flags.sampled
        else:  # there is baggage alone, or nothing that can be read
            trace_id = random.getrandbits(128)
            sampled = self.share.takes(trace_id)
        if sampled:
            self._begin_sampled(ctx, caller, trace_id)
        else:
            known = parent.is_valid
            span = UnsampledSpan.below(parent) if known else UnsampledSpan(trace_id)
            context = set_span_in_context(span, caller)
            _make_current(ctx, context, trace_id, span.span_id)

    def _begin_sampled(
        self, ctx: RequestContext, caller: Context, trace_id: int
    ) -> None:
        self.ids.drawn = trace_id
        span = self.tracer.start_span(
            span_name(ctx),
            context=caller,
            kind=SpanKind.SERVER,
            attributes=request_attributes(ctx),
        )
        span_id = span.get_span_context().span_id
        _make_current(ctx, set_span_in_context(span, caller), trace_id, span_id)
        ctx.exemplar = {"trace_id": ctx.trace["trace_id"]}
        recording = Recording(span, scrubbed=self.scrubbed)
        ctx.state[_RECORDING] = recording
        ctx.on_failure = recording.fail

    def _leave(self, ctx: RequestContext) -> None:
        if ctx.exemplar is not None:
            recording: Recording = ctx.state.pop(_RECORDING)
            broken = sys.exc_info()[1]  # the stream of an answer, behind its head
            if isinstance(broken, Exception):
                recording.fail(broken)
            recording.end(ctx.status or STATUS_CLIENT_GONE)


def _make_current(
    ctx: RequestContext, context: Context, trace_id: int, span_id: int
) -> None:
    """Let handlers and the log know the span that *context* has."""
    # each request runs in a task, so in a context, of its own: no need to detach
    attach(context)
    trace = f"{trace_id:032x}"
    ctx.trace = {"trace_id": trace, "span_id": f"{span_id:016x}"}
    _LOGGED_TRACE.set(trace)
    _LOGGED_SPAN.set(_CURRENT)
