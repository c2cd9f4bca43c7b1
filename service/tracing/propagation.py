"""
The ids of a trace and its baggage, in the headers of requests and of calls to others.

Source: https://www.w3.org/TR/trace-context/, https://www.w3.org/TR/baggage/
"""

from collections.abc import Iterable, MutableMapping

from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import Getter
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from typing_extensions import override

__all__ = ["PROPAGATED", "extracted", "inject", "metadata"]

Headers = Iterable[tuple[bytes, bytes]]

PROPAGATED = frozenset({b"traceparent", b"baggage"})
"""Headers that say something by themselves; `tracestate` only adds to the first."""

_W3C = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])


def extracted(headers: Headers) -> Context:
    """
    Return what the caller tells of its trace; nothing of what is malformed.

    Args:
        headers: Raw pairs, names in lower case.
    """
    return _W3C.extract(headers, context=Context(), getter=_RAW)


def inject(headers: MutableMapping[str, str]) -> None:
    """
    Add the current trace and baggage to the headers of a call to another service.

    Where tracing is off, or nothing is being traced, nothing is added.

    Args:
        headers: Names, which are added in lower case, and values.
    """
    _W3C.inject(headers)


def metadata() -> tuple[tuple[str, str], ...]:
    """Return the current trace and baggage as the metadata of a gRPC call."""
    headers: dict[str, str] = {}
    inject(headers)
    return tuple(headers.items())


class _Raw(Getter[Headers]):
    """Reads raw pairs."""

    @override
    def get(self, carrier: Headers, key: str) -> list[str] | None:
        name = key.encode("latin-1")
        found = [value.decode("latin-1") for each, value in carrier if each == name]
        if key == "traceparent" and len(found) > 1:
            return None  # which one holds, nobody can tell
        if key == "baggage":
            return [",".join(found)]  # else only the first would be read
        return found or None

    @override
    def keys(self, carrier: Headers) -> list[str]:
        return [name.decode("latin-1") for name, _ in carrier]


_RAW = _Raw()
