"""
The filters that write a request down: its line in the access log, and its numbers.

Both look once the answer is sent, so that status and size are those of the wire.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from service.server.application import Filter
from service.server.around import Around
from service.server.context import RequestContext
from service.server.recovery import STATUS_CLIENT_GONE

__all__ = ["AccessLine", "Observe", "access_log", "measure"]


class AccessLine(Protocol):
    """Writes one access-log line."""

    def __call__(
        self,
        *,
        method: str,
        route: str,
        path: str,
        status: int,
        duration: float,
        bytes: int,  # noqa: A002 - the field's name in the log
        client: str,
        request_id: str,
        **extra: Any,
    ) -> None:
        """Write the line; durations in seconds, sizes in bytes."""


class Observe(Protocol):
    """Measures requests."""

    def begin(self) -> None:
        """Count a request that is in flight."""

    def end(
        self,
        *,
        method: str,
        route: str,
        status: int,
        duration: float,
        request_bytes: int,
        response_bytes: int,
        exemplar: Mapping[str, str] | None = None,
    ) -> None:
        """Count a request that is answered."""


def access_log(
    write: AccessLine, *, wanted: Callable[[RequestContext], bool]
) -> Filter:
    """
    Return the filter that writes one line per request, once it is answered.

    Args:
        write: Writes the line.
        wanted: Whether this request is logged; probes usually are not.
    """

    def log(ctx: RequestContext) -> None:
        if wanted(ctx):
            # most have no trace, and a call with ** costs several times as much
            trace: Mapping[str, Any] = ctx.trace
            if ctx.log_fields:
                trace = {**trace, **ctx.log_fields}
            line = partial(write, **trace) if trace else write
            line(
                method=ctx.method,
                route=ctx.route,
                path=ctx.path,
                status=ctx.status or STATUS_CLIENT_GONE,
                duration=time.perf_counter() - ctx.began,
                bytes=ctx.bytes_sent,
                client=ctx.client,
                request_id=ctx.request_id,
            )

    return Around(leave=log)


def measure(http: Observe) -> Filter:
    """Return the filter that measures each request under its route's template."""

    def begin(_ctx: RequestContext) -> None:
        http.begin()

    def end(ctx: RequestContext) -> None:
        length = ctx.raw_header(b"content-length")
        over = time.perf_counter() if ctx.answered is None else ctx.answered
        http.end(
            method=ctx.method,
            route=ctx.route or "unmatched",
            status=ctx.status or STATUS_CLIENT_GONE,
            duration=over - ctx.began,
            request_bytes=0 if length is None else _number(length),
            response_bytes=ctx.bytes_sent,
            exemplar=ctx.exemplar,
        )

    return Around(begin, end)


def _number(length: bytes) -> int:
    return int(length) if length.isdigit() else 0
