"""
What stands around every call: its measurements, its line in the log, its span, and what
becomes of an exception that nobody expected.

An interceptor of gRPC gives back a handler; the handler here runs the one it stands for
within all of these.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import (
    AbstractContextManager,
    asynccontextmanager,
    nullcontext,
    suppress,
)
from typing import Any, TypeAlias, cast

import grpc
from structlog.contextvars import bind_contextvars
from typing_extensions import override

from service.log_api.errors import CallRefused, Reason
from service.log_service.access import Context
from service.log_service.call_line import (
    LOGGER,
    REQUEST_ID,
    Metadata,
    code_of,
    request_id_of,
    write_line,
)
from service.log_service.ending import Endings
from service.log_service.handlers import (
    OWN,
    CallKind,
    Handler,
    inner_of,
    lightened,
    run,
    send,
)
from service.log_service.places import Places
from service.log_service.receiving import Parse, only_request, reader
from service.log_service.refusing import refuse
from service.observability.commitlog_metrics import CommitLogMetrics
from service.observability.logging import get_logger
from service.settings.log_service import LogLimitSettings

__all__ = ["Calls", "Span"]

Span: TypeAlias = Callable[
    [str, Metadata], AbstractContextManager[Callable[[str], None]]
]
"""Gives a call a span, by its method and metadata; yields what is told its code."""

CONSUME = "/log.v1.LogService/Consume"
"""The method whose one answer is large: its client may take it slowly, or leave."""

PRODUCE = "/log.v1.LogService/Produce"
"""Begin of the methods whose requests have records."""


def no_span(
    _method: str, _metadata: Metadata
) -> AbstractContextManager[Callable[[str], None]]:
    """Give no span."""
    return nullcontext(lambda _code: None)


class Calls(grpc.aio.ServerInterceptor):
    """
    Stands around the calls of one server.

    Args:
        metrics: Where they are measured.
        endings: Ends streams of other services, such as the health's.
        max_calls: Calls of the log service at a time; the health answers beyond.
        limits: Gives the limits of one client as they are now.
        logged: Whether there is a line for each call.
        span: Gives each a span.

    Attributes:
        stopping: Whether calls that are cancelled now are cut off by the stop.
        cut: How many that were; not those that only wait for something to come.

    Concurrency:
        For the event loop of the server.
    """

    def __init__(
        self,
        *,
        metrics: CommitLogMetrics,
        endings: Endings,
        max_calls: int = 1000,
        limits: Callable[[], LogLimitSettings] = LogLimitSettings,
        logged: Callable[[], bool] = lambda: True,
        span: Span = no_span,
    ) -> None:
        self._metrics = metrics
        self._endings = endings
        self._max_calls = max_calls
        self._limits = limits
        self._places = Places(lambda: limits().max_calls_per_client)
        self._open = 0
        self._logged = logged
        self._span = span
        self._log = get_logger(LOGGER)
        self._working = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.stopping = False
        self.cut = 0

    async def idle(self, limit: float) -> None:
        """Return when no call works any more, or after *limit* seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(limit):
                await self._idle.wait()

    @override
    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["Handler | None"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """Return the handler with all of it around."""
        method: str = handler_call_details.method
        handler = await continuation(handler_call_details)
        if handler is None:
            self._metrics.ended("unknown", "UNIMPLEMENTED", 0.0, stream=True)
            return handler
        return self._around(method, handler)

    def _around(self, method: str, handler: Handler) -> Handler:
        inner, kind = inner_of(handler), CallKind.of(method, handler)

        async def unary(_requests: Any, context: Context) -> Any:
            async with self._observed(kind, context):
                request = await self._only_request(kind, context)
                return await inner(request, context)

        async def large(_requests: Any, context: Context) -> None:
            async with self._observed(kind, context) as client:
                request = await self._only_request(kind, context)
                response = await inner(request, context)
                self._places.answer(context, client, response.ByteSize())
            await send(response, context)

        async def streaming(requests: Any, context: Context) -> None:
            async with self._observed(kind, context):
                given = requests
                if not handler.request_streaming:
                    given = await self._only_request(kind, context)
                if kind.own:
                    await run(inner, given, context)
                    return
                async with self._endings.waiting():
                    await run(inner, given, context)

        make = grpc.stream_stream_rpc_method_handler
        around: Callable[..., Awaitable[Any]] = streaming
        if method == CONSUME:
            around = large
        elif not handler.response_streaming:
            make, around = grpc.stream_unary_rpc_method_handler, unary

        async def light(requests: Any, context: Context) -> Any:
            try:
                return await around(requests, context)
            except grpc.aio.AbortError as aborted:
                raise lightened(aborted) from None

        return make(
            light,
            request_deserializer=reader(
                cast("Parse", handler.request_deserializer),
                counts=method.startswith(PRODUCE),
            ),
            response_serializer=handler.response_serializer,
        )

    async def _only_request(self, kind: CallKind, context: Context) -> Any:
        """Return the request; a stop doesn't wait for a call that has none yet."""
        self._rest(kind)
        try:
            return await only_request(context, limit=self._limits().timeout)
        finally:
            self._work(kind)

    @asynccontextmanager
    async def _observed(self, kind: CallKind, context: Context) -> AsyncIterator[str]:
        """Let the block be a call of the client whose name it is given."""
        began = time.perf_counter()
        metadata = context.invocation_metadata() or ()
        request_id = request_id_of(metadata)
        bind_contextvars(request_id=request_id)
        context.set_trailing_metadata(((REQUEST_ID, request_id),))
        self._enter(kind)
        with self._span(kind.name, metadata) as told:
            code = "OK"
            try:
                async with self._recovered(kind.name, context, request_id):
                    client = self._places.take(context)
                    if kind.own and self._open > self._max_calls:
                        raise CallRefused(Reason.TOO_MANY_CALLS)
                    yield client
            except asyncio.CancelledError:
                code = self._cancelled(kind, context)
                raise
            except grpc.aio.AbortError:
                code = code_of(context)
                raise
            finally:
                self._leave(kind)
                seconds = time.perf_counter() - began
                self._metrics.ended(kind.name, code, seconds, stream=kind.stream)
                told(code)
                self._write(kind.name, context, code, seconds)

    def _enter(self, kind: CallKind) -> None:
        self._metrics.in_flight.labels(kind.name).inc()
        self._open += kind.own
        self._work(kind)

    def _leave(self, kind: CallKind) -> None:
        self._metrics.in_flight.labels(kind.name).dec()
        self._open -= kind.own
        self._rest(kind)

    def _work(self, kind: CallKind) -> None:
        if not kind.waits:
            self._working += 1
            self._idle.clear()

    def _rest(self, kind: CallKind) -> None:
        if not kind.waits:
            self._working -= 1
            if not self._working:
                self._idle.set()

    @asynccontextmanager
    async def _recovered(
        self, name: str, context: Context, request_id: str
    ) -> AsyncIterator[None]:
        """Tell the client of an exception that nobody expected, and nothing of it."""
        try:
            yield
        except CallRefused as refused:
            await refuse(context, refused)
        except grpc.aio.AbortError:
            raise
        except grpc.aio.InternalError as error:
            # the caller is gone, and what was sent to it went nowhere
            raise asyncio.CancelledError from error
        except Exception:  # noqa: BLE001 - else gRPC would send its text to the client
            self._log.exception("call_failed", method=name)
            about = {"request_id": request_id}
            await refuse(context, CallRefused(Reason.INTERNAL, about=about))

    def _cancelled(self, kind: CallKind, context: Context) -> str:
        """Return the code of a call that was cancelled, and count those we cut off."""
        if self.stopping and not kind.waits:
            self.cut += 1
            self._metrics.cut.inc()
            return "UNAVAILABLE"
        left = context.time_remaining()
        return "CANCELLED" if left is None or left > 0 else "DEADLINE_EXCEEDED"

    def _write(self, name: str, context: Context, code: str, seconds: float) -> None:
        if self._logged() and name.startswith(OWN.removeprefix("/")):
            write_line(name, context, code, seconds)
