"""
What stands around every call: its measurements, its line in the log, its span, and what
becomes of an exception that nobody expected.

An interceptor of gRPC gives back a handler; the handler here runs the one it stands for
within all of these.
"""

import asyncio
import inspect
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import (
    AbstractContextManager,
    asynccontextmanager,
    nullcontext,
    suppress,
)
from typing import Any, NamedTuple, TypeAlias

import grpc
from structlog.contextvars import bind_contextvars
from typing_extensions import override

from service.log_api.errors import CallRefused, Reason
from service.log_service.access import Context, address_of
from service.log_service.ending import Endings
from service.log_service.refusing import refuse
from service.observability.commitlog_metrics import CommitLogMetrics
from service.observability.logging import get_logger
from service.server.filters import SANE_ID

__all__ = ["Calls", "Span"]

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Metadata = Iterable[tuple[str, str | bytes]]
Span = Callable[[str, Metadata], AbstractContextManager[Callable[[str], None]]]
"""Gives a call a span, by its method and metadata; yields what is told its code."""

OWN = "/log.v1."
"""Begin of the methods that end their streams themselves."""

REQUEST_ID = "x-request-id"


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
        logged: Callable[[], bool] = lambda: True,
        span: Span = no_span,
    ) -> None:
        self._metrics = metrics
        self._endings = endings
        self._max_calls = max_calls
        self._open = 0
        self._logged = logged
        self._span = span
        self._log = get_logger("httpserver.grpc")
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
        inner, make = _parts(handler)
        kind = _Kind(
            method.removeprefix("/"),
            stream=handler.request_streaming or handler.response_streaming,
            own=method.startswith(OWN),
            only_sends=handler.response_streaming and not handler.request_streaming,
        )

        async def unary(request: Any, context: Context) -> Any:
            async with self._observed(kind, context):
                return await inner(request, context)

        async def streaming(request: Any, context: Context) -> None:
            async with self._observed(kind, context):
                if kind.own:
                    await _run(inner, request, context)
                    return
                async with self._endings.waiting():
                    await _run(inner, request, context)

        return make(
            streaming if handler.response_streaming else unary,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    @asynccontextmanager
    async def _observed(self, kind: "_Kind", context: Context) -> AsyncIterator[None]:
        began = time.perf_counter()
        metadata = context.invocation_metadata() or ()
        request_id = _request_id(metadata)
        bind_contextvars(request_id=request_id)
        context.set_trailing_metadata(((REQUEST_ID, request_id),))
        self._enter(kind)
        with self._span(kind.name, metadata) as told:
            code = "OK"
            try:
                async with self._recovered(kind.name, context, request_id):
                    if kind.own and self._open > self._max_calls:
                        raise CallRefused(Reason.TOO_MANY_CALLS)
                    yield
            except asyncio.CancelledError:
                code = self._cancelled(kind, context)
                raise
            except grpc.aio.AbortError:
                code = _code(context)
                raise
            finally:
                self._leave(kind)
                seconds = time.perf_counter() - began
                self._metrics.ended(kind.name, code, seconds, stream=kind.stream)
                told(code)
                self._write(kind.name, context, code, seconds)

    def _enter(self, kind: "_Kind") -> None:
        self._metrics.in_flight.labels(kind.name).inc()
        self._open += kind.own
        if not kind.waits:
            self._working += 1
            self._idle.clear()

    def _leave(self, kind: "_Kind") -> None:
        self._metrics.in_flight.labels(kind.name).dec()
        self._open -= kind.own
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

    def _cancelled(self, kind: "_Kind", context: Context) -> str:
        """Return the code of a call that was cancelled, and count those we cut off."""
        if self.stopping and not kind.waits:
            self.cut += 1
            self._metrics.cut.inc()
            return "UNAVAILABLE"
        left = context.time_remaining()
        return "CANCELLED" if left is None or left > 0 else "DEADLINE_EXCEEDED"

    def _write(self, name: str, context: Context, code: str, seconds: float) -> None:
        if self._logged() and name.startswith(OWN.removeprefix("/")):
            self._log.info(
                "call",
                method=name,
                code=code,
                duration=round(seconds, 6),
                client=address_of(context),
            )


class _Kind(NamedTuple):
    """
    What a call is.

    Attributes:
        name: Its service and method.
        stream: Whether it lasts as long as its ends want.
        own: Whether it is of the log service, not of its health.
        only_sends: Whether it is a stream to the caller alone.
    """

    name: str
    stream: bool
    own: bool
    only_sends: bool

    @property
    def waits(self) -> bool:
        """Whether it only waits for something to come: cutting it loses nothing."""
        return self.only_sends or not self.own


async def _run(inner: Callable[..., Any], request: Any, context: Context) -> None:
    """Run a handler of either form: one that yields responses, or writes them."""
    answers = inner(request, context)
    if inspect.isasyncgen(answers):
        async for each in answers:
            await context.write(each)
    else:
        await answers


def _parts(handler: Handler) -> tuple[Callable[..., Any], Callable[..., Handler]]:
    """Return what *handler* runs, and what makes one of its kind."""
    kinds: dict[tuple[bool, bool], tuple[Any, Callable[..., Handler]]] = {
        (False, False): (handler.unary_unary, grpc.unary_unary_rpc_method_handler),
        (False, True): (handler.unary_stream, grpc.unary_stream_rpc_method_handler),
        (True, False): (handler.stream_unary, grpc.stream_unary_rpc_method_handler),
        (True, True): (handler.stream_stream, grpc.stream_stream_rpc_method_handler),
    }
    return kinds[handler.request_streaming, handler.response_streaming]


def _code(context: Context) -> str:
    """Return the name of the code that the call was ended with."""
    found: Any = context.code()
    number = found.value[0] if isinstance(found, grpc.StatusCode) else found
    return _NAMES.get(number, "UNKNOWN")


_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}


def _request_id(metadata: Metadata) -> str:
    """Return the caller's id of the request where it is sane, else a new one."""
    for name, value in metadata:
        given = value.encode() if isinstance(value, str) else value
        if name == REQUEST_ID and SANE_ID.fullmatch(given):
            return given.decode()
    return f"{random.getrandbits(128):032x}"
