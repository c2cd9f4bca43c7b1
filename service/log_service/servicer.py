"""
The calls of the API: each is a request that is checked, and a call of the log.

What a log raises becomes a status here, so that `add_log_service` works on any server,
with interceptors of ours or without.
"""

import asyncio
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Mapping,
)
from contextlib import aclosing, suppress
from functools import partial, wraps
from typing import TypeVar, cast

import grpc
from structlog.contextvars import bind_contextvars

from service.commitlog import CommitLog, Record
from service.commitlog.errors import CommitLogError, OffsetOutOfRange
from service.commitlog.reading import check_offset, followed
from service.log_api.errors import CallRefused, Reason
from service.log_api.v1 import log_pb2, log_pb2_grpc
from service.log_service.access import Access, Action, Caller, Context, OpenAccess
from service.log_service.allowance import Allowance
from service.log_service.consuming import tell_slow, within
from service.log_service.ending import Endings
from service.log_service.messages import messages_of, records_of
from service.log_service.producing import Intake, store, stored
from service.log_service.refusing import refuse
from service.settings.log_service import LogLimitSettings

__all__ = ["LogServicer", "Observe", "add_log_service"]

Request = TypeVar("Request")
Answer = TypeVar("Answer")
Observe = Callable[[str, Action, int], object]
"""Told the stream, what was done, and how many records it was."""


def add_log_service(
    server: grpc.aio.Server,
    log: CommitLog | Mapping[str, CommitLog],
    *,
    access: Access | None = None,
    limits: Callable[[], LogLimitSettings] = LogLimitSettings,
    endings: Endings | None = None,
    observe: Observe = lambda _stream, _action, _count: None,
) -> None:
    """
    Let *server* serve *log*.

    Args:
        server: Not started yet; its ports are its owner's business.
        log: What is served; several by name, of which the first is that of callers who
            name none.
        access: Who may do what; everybody everything without.
        limits: Gives the limits as they are now.
        endings: Ends the streams when the server is to stop.
        observe: Told how many records were taken or given.
    """
    servicer = LogServicer(
        log if isinstance(log, Mapping) else {"records": log},
        access=access or OpenAccess(),
        limits=limits,
        endings=endings or Endings(),
        observe=observe,
    )
    # its methods are written as the server wants them, not as generated types do
    generated = cast("log_pb2_grpc.LogServiceServicer", servicer)
    log_pb2_grpc.add_LogServiceServicer_to_server(generated, server)


Method = Callable[["LogServicer", Request, Context], Awaitable[Answer]]


def _told(method: Method[Request, Answer]) -> Method[Request, Answer]:
    """Return *method* with a status in the place of what it raises."""

    @wraps(method)
    async def told(self: "LogServicer", request: Request, context: Context) -> Answer:
        try:
            return await method(self, request, context)
        except CommitLogError as error:
            return await refuse(context, error)

    return told


def _limited(method: Method[Request, Answer]) -> Method[Request, Answer]:
    """Return *method* with a limit of its time."""

    @wraps(method)
    async def limited(
        self: "LogServicer", request: Request, context: Context
    ) -> Answer:
        try:
            async with asyncio.timeout(self.limits().timeout):
                return await method(self, request, context)
        except TimeoutError:
            raise CallRefused(Reason.TIMED_OUT) from None

    return limited


class LogServicer:
    """
    The calls of `log.v1.LogService`.

    Args:
        logs: By the name of their stream.
        access: Who may do what.
        limits: Gives the limits as they are now.
        endings: Ends the streams when the server is to stop.
        observe: Told how many records were taken or given.

    Concurrency:
        For the event loop of the server and the logs.
    """

    def __init__(
        self,
        logs: Mapping[str, CommitLog],
        *,
        access: Access,
        limits: Callable[[], LogLimitSettings],
        endings: Endings,
        observe: Observe,
    ) -> None:
        self._logs = logs
        self._default = next(iter(logs))
        self._access = access
        self.limits = limits
        self._endings = endings
        self._observe = observe
        self._allowance = Allowance(limits)

    @_told
    @_limited
    async def Produce(
        self, request: log_pb2.ProduceRequest, context: Context
    ) -> log_pb2.ProduceResponse:
        """Append; answer once all is acknowledged."""
        _, stream = self._admitted(request.stream, context, Action.PRODUCE)
        records = records_of(request.records)
        offset = await store(self._log(stream), records)
        self._observe(stream, Action.PRODUCE, len(records))
        return log_pb2.ProduceResponse(offset=offset, count=len(records))

    @_told
    @_limited
    async def Consume(
        self, request: log_pb2.ConsumeRequest, context: Context
    ) -> log_pb2.ConsumeResponse:
        """Return records from an offset on."""
        _, stream = self._admitted(request.stream, context, Action.CONSUME)
        log = self._log(stream)
        records = await log.read(request.offset, **within(request, self.limits()))
        if not records:
            lowest, end = log.offsets()
            raise OffsetOutOfRange(request.offset, lowest=lowest, next_offset=end)
        self._observe(stream, Action.CONSUME, len(records))
        return log_pb2.ConsumeResponse(records=messages_of(records))

    @_told
    @_limited
    async def GetOffsets(
        self, request: log_pb2.GetOffsetsRequest, context: Context
    ) -> log_pb2.GetOffsetsResponse:
        """Return which records can be read."""
        _, stream = self._admitted(
            request.stream, context, Action.PRODUCE, Action.CONSUME
        )
        log = self._log(stream)
        at = None
        if request.HasField("timestamp_ms"):
            at = await log.offset_at(request.timestamp_ms)
        lowest, end = await log.fresh_offsets()
        return log_pb2.GetOffsetsResponse(
            lowest=lowest, next=end, offset_at_timestamp=at
        )

    @_told
    async def ProduceStream(
        self,
        requests: AsyncIterator[log_pb2.ProduceStreamRequest],
        context: Context,
    ) -> None:
        """Append what each request holds; answer each in its order."""
        caller = self._identified(context)
        names: list[str] = []
        admit = partial(self._admit_produce, caller, names)
        check = partial(self._check_produce, caller, names)
        intake = Intake(requests, admit=admit, endings=self._endings, check=check)
        with self._allowance.stream(caller.name):
            reading = asyncio.create_task(intake.run())
            try:
                while batches := await intake.take():
                    await self._store_all(names[0], batches, context)
            finally:
                reading.cancel()
                with suppress(asyncio.CancelledError):
                    await reading

    async def _admit_produce(
        self,
        caller: Caller,
        names: list[str],
        request: log_pb2.ProduceStreamRequest,
    ) -> None:
        """Let *request* pass, later when its producer is too fast; note its stream."""
        stream = request.stream or (names[0] if names else self._default)
        if names and stream != names[0]:
            detail = "all requests of a call are for one stream"
            raise CallRefused(Reason.INVALID_REQUEST, detail)
        self._access.allow(caller, stream, Action.PRODUCE)
        self._log(stream)
        if not names:
            names.append(stream)
        await self._allowance.pace(caller.name)

    def _check_produce(self, caller: Caller, names: list[str]) -> None:
        """Refuse a stream that is open and that *caller* may append to no longer."""
        for stream in names:
            self._access.allow(caller, stream, Action.PRODUCE)

    async def _store_all(
        self, stream: str, batches: list[list[Record]], context: Context
    ) -> None:
        async with aclosing(stored(self._log(stream), batches)) as all_stored:
            async for offset, count in all_stored:
                self._observe(stream, Action.PRODUCE, count)
                response = log_pb2.ProduceStreamResponse(offset=offset, count=count)
                await context.write(response)

    @_told
    async def ConsumeStream(
        self, request: log_pb2.ConsumeStreamRequest, context: Context
    ) -> None:
        """Send records from an offset on, and wait for more at the end."""
        caller, stream = self._admitted(request.stream, context, Action.CONSUME)
        log = self._log(stream)
        await check_offset(log, request.offset)
        with self._allowance.stream(caller.name):
            # the head of the answer tells that the stream is open, records or not
            await context.send_initial_metadata(())
            try:
                await self._feed(log, stream, caller, request, context)
            except CommitLogError as error:
                tell_slow(error, stream)
                # one that reads nothing does not take its status either: it keeps its
                # place among the streams that its caller may have
                await refuse(context, error)

    async def _feed(
        self,
        log: CommitLog,
        stream: str,
        caller: Caller,
        request: log_pb2.ConsumeStreamRequest,
        context: Context,
    ) -> None:
        """Send what is there and what comes, until something ends it."""
        check = partial(self._access.allow, caller, stream, Action.CONSUME)
        async with (
            self._endings.waiting(check=check) as waiting,
            aclosing(
                followed(log, request.offset, **within(request, self.limits()))
            ) as batches,
        ):
            async for batch in batches:
                check()
                response = log_pb2.ConsumeStreamResponse(records=messages_of(batch))
                waiting.within(self.limits().slow_consumer_timeout)
                await context.write(response)
                waiting.within(None)
                self._observe(stream, Action.CONSUME, len(batch))

    def _admitted(
        self, name: str, context: Context, *actions: Action
    ) -> tuple[Caller, str]:
        """Return who calls, and the stream, if the caller may do this to it, now."""
        caller = self._identified(context)
        stream = name or self._default
        self._access.allow(caller, stream, *actions)
        self._allowance.take(caller.name)
        return caller, stream

    def _identified(self, context: Context) -> Caller:
        caller = self._access.identify(context)
        if caller.subjects:
            bind_contextvars(subject=caller.name)
        return caller

    def _log(self, stream: str) -> CommitLog:
        try:
            return self._logs[stream]
        except KeyError:
            raise CallRefused(Reason.UNKNOWN_STREAM) from None
