"""
Which requests are traced: the caller's decision, or a share of the trace ids.

The share is taken of the trace's id, as OpenTelemetry's own sampler does, so that
services with the same share pick the same traces.

Source: https://opentelemetry.io/docs/specs/otel/trace/sdk/#traceidratiobased
"""

import random
from collections.abc import Callable
from typing import Self

from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState
from typing_extensions import override

__all__ = ["DrawnIds", "Share", "UnsampledSpan", "parent_based"]

_LOW = (1 << 64) - 1
"""Bits of a trace's id that decide."""


class Share(TraceIdRatioBased):
    """
    The share of the traces that begin here, live.

    Args:
        ratio: Gives the share, 0 to 1, asked at each decision.
    """

    def __init__(self, ratio: Callable[[], float]) -> None:
        super().__init__(ratio())
        self._ratio = ratio

    @property
    @override
    def bound(self) -> int:
        return self.get_bound_for_rate(self._ratio())

    def takes(self, trace_id: int) -> bool:
        """Whether the trace of this id is among them."""
        return (trace_id & _LOW) < self._ratio() * 2.0**64


def parent_based(share: Share) -> ParentBased:
    """Return the sampler of spans that handlers make: as the request was decided."""
    return ParentBased(root=share)


class DrawnIds(RandomIdGenerator):
    """
    Gives a span the trace id that was drawn before it was known to be sampled.

    Concurrency:
        One event loop: what is drawn is used before anything else runs.
    """

    drawn = 0

    @override
    def generate_trace_id(self) -> int:
        return self.drawn


class UnsampledSpan(NonRecordingSpan):
    """
    The span of a request that is not traced: most of them, so it must cost little.

    Its ids go on to whom it calls; what holds them is made for those who ask.

    Args:
        trace_id: Id of the trace.
    """

    flags = TraceFlags(TraceFlags.RANDOM_TRACE_ID)
    state: TraceState | None = None

    def __init__(self, trace_id: int) -> None:
        self.trace_id = trace_id
        self.span_id = random.getrandbits(64)

    @classmethod
    def below(cls, caller: SpanContext) -> Self:
        """Return the span of a request whose caller has decided."""
        span = cls(caller.trace_id)
        span.flags, span.state = caller.trace_flags, caller.trace_state
        return span

    @override
    def get_span_context(self) -> SpanContext:
        return SpanContext(
            self.trace_id,
            self.span_id,
            is_remote=False,
            trace_flags=self.flags,
            trace_state=self.state,
        )
