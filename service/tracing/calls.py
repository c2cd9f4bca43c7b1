"""
Spans of calls that come by gRPC, by the semantic conventions for RPC.

They are made by the tracer that handlers use, so they are sampled and exported as those
of HTTP requests are; where tracing is off they cost next to nothing.

Source: https://opentelemetry.io/docs/specs/semconv/rpc/grpc/
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.semconv._incubating.attributes.rpc_attributes import (
    RPC_METHOD,
    RPC_RESPONSE_STATUS_CODE,
    RPC_SYSTEM_NAME,
)
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.trace import (
    SpanKind,
    StatusCode,
    format_span_id,
    format_trace_id,
    get_tracer,
)
from structlog.contextvars import bind_contextvars

from service.tracing.propagation import extracted

__all__ = ["call_span"]

_FAILED = {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL"}
_FAILED |= {"UNAVAILABLE", "DATA_LOSS"}
"""Codes that are the service's fault (semantic conventions)."""


@contextmanager
def call_span(
    method: str, metadata: Iterable[tuple[str, str | bytes]], *, trusted: bool
) -> Iterator[Callable[[str], None]]:
    """
    Give the block a span, and log lines within it the span's ids.

    Args:
        method: Full name of the method, without a slash before it.
        metadata: What the caller sent along.
        trusted: Whether callers are believed what they tell of their traces.

    Yields:
        What is to be told the name of the status code.
    """
    context = extracted(list(map(_raw, metadata))) if trusted else Context()
    with get_tracer("httpserver").start_as_current_span(
        method,
        context=context,
        kind=SpanKind.SERVER,
        attributes={RPC_SYSTEM_NAME: "grpc", RPC_METHOD: method},
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        ids = span.get_span_context()
        bind_contextvars(
            trace_id=format_trace_id(ids.trace_id), span_id=format_span_id(ids.span_id)
        )

        def told(code: str) -> None:
            span.set_attribute(RPC_RESPONSE_STATUS_CODE, code)
            if code in _FAILED:
                span.set_attribute(ERROR_TYPE, code)
                span.set_status(StatusCode.ERROR)

        yield told


def _raw(pair: tuple[str, str | bytes]) -> tuple[bytes, bytes]:
    name, value = pair
    return name.encode(), value.encode() if isinstance(value, str) else value
