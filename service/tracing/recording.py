"""
The span of one sampled request, from its handler's failure to its end.

Source: https://opentelemetry.io/docs/specs/semconv/exceptions/exceptions-spans/
"""

from collections.abc import Callable

from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.exception_attributes import (
    EXCEPTION_MESSAGE,
    EXCEPTION_TYPE,
)
from opentelemetry.semconv.attributes.http_attributes import HTTP_RESPONSE_STATUS_CODE
from opentelemetry.trace import Span, StatusCode

from service.observability.log_lines import as_text

__all__ = ["Recording"]

_FAILED = 500
"""Statuses from here on are the service's fault (semantic conventions)."""


class Recording:
    """
    What is still to be told of a request whose span has begun.

    Args:
        span: Its span.
        scrubbed: Returns a text with what looks like a secret masked.
    """

    def __init__(self, span: Span, *, scrubbed: Callable[[str], str]) -> None:
        self._span = span
        self._scrubbed = scrubbed
        self._failed = False

    def fail(self, error: BaseException) -> None:
        """Note what a handler failed of; where, the log has under the request's id."""
        if self._failed:
            return
        self._failed = True
        kind = type(error)
        name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
        told = {EXCEPTION_TYPE: name, EXCEPTION_MESSAGE: self._scrubbed(as_text(error))}
        self._span.add_event("exception", told)
        self._span.set_attribute(ERROR_TYPE, name)
        self._span.set_status(StatusCode.ERROR)

    def end(self, status: int) -> None:
        """End the span of a request that was answered with *status*."""
        self._span.set_attribute(HTTP_RESPONSE_STATUS_CODE, status)
        if status >= _FAILED and not self._failed:
            self._span.set_attribute(ERROR_TYPE, str(status))
            self._span.set_status(StatusCode.ERROR)
        self._span.end()
