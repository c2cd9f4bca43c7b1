"""
The client of the log service.

    async with LogClient("log.shop.svc:8400") as log:
        offset = await log.produce([Record(b"value")])
        async for batch in log.follow(offset):
            ...

A call that is lost is tried again, on another endpoint if there is one, within a
deadline and a budget. A produce is tried again only when it is known that nothing was
stored: else OutcomeUnknown is raised, unless `if_unknown` says otherwise. A consumer
that is cut goes on with the offset after the last record it got.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Self, cast

import grpc

from service.commitlog.errors import (
    CommitLogError,
    LogUnreachable,
    OffsetOutOfRange,
    OutcomeUnknown,
    WritesRefused,
)
from service.commitlog.protocol import Offsets
from service.commitlog.record import Record
from service.discovery.balancer import Balancer
from service.log_api.v1 import log_pb2
from service.log_client.calling import Calling, Flight, Metadata
from service.log_client.errors import CallFailed, IfUnknown, passes, passes_unknown
from service.log_client.options import ChannelOptions
from service.log_client.records import received, to_send, with_id
from service.log_client.resuming import resumed
from service.log_client.sending import Outgoing
from service.resilience.backoff import Backoff
from service.resilience.events import Observe, ignore
from service.resilience.retry import Retry, RetryBudget
from service.resilience.timeout import DeadlineExceeded, remaining, timeout

__all__ = ["Acknowledged", "LogClient"]

_MOST_RECORDS = 1000
"""Records that a server gives at once."""

_LAGS = 10
"""Attempts in which a server may not have heard of a record that another one gave."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """
    What became of a batch.

    Attributes:
        offset: Of its first record; the others follow.
        count: How many it has.
    """

    offset: int
    count: int


class LogClient:
    """
    Calls a log service: a block that keeps its connections.

    Args:
        target: `host:port`, several with commas in between, or `service://name`. Those
            of several must serve the same streams, as pods over JetStream do.
        stream: Which stream; the server's first one without.
        options: How channels are made.
        balancer: Knows the services of `service://`.
        token: Gives the bearer token as it is now; see `options.token_in`.
        metadata: Gives what else is sent with each call, as `service.tracing.metadata`.
        if_unknown: What becomes of a produce whose outcome is unknown.
        deadline: Seconds that a call that is no stream may take, attempts included.
        attempts: Most attempts of it.
        resumptions: Most attempts of a stream from one success to the next; they are
            up to 5 s apart.
        budget: Share of calls that may be repeated, shared by all of the client.
        observe: Told of repeated attempts.
        tell: Told why new certificates were not taken.

    Raises:
        ValueError: The target is none.

    Concurrency:
        For one event loop, any number of tasks. Cancelling a produce leaves open
        whether it is stored.
    """

    def __init__(
        self,
        target: str,
        *,
        stream: str = "",
        options: ChannelOptions | None = None,
        balancer: Balancer | None = None,
        token: Callable[[], str] | None = None,
        metadata: Metadata = tuple,
        if_unknown: IfUnknown = "raise",
        deadline: float = 10.0,
        attempts: int = 8,
        resumptions: int = 100,
        budget: RetryBudget | None = None,
        observe: Observe = ignore,
        tell: Callable[[str], object] = lambda _why: None,
    ) -> None:
        self._calling = Calling(
            target,
            balancer=balancer,
            options=options or ChannelOptions(),
            token=token,
            metadata=metadata,
            tell=tell,
        )
        self._stream = stream
        self._identified = if_unknown == "deduplicated"
        self._deadline = deadline
        repeats = passes if if_unknown == "raise" else passes_unknown
        calls = partial(
            Retry,
            attempts=attempts,
            backoff=Backoff(most=2.0),
            budget=budget or RetryBudget(),
            observe=observe,
        )
        self._reading = calls("log", retry_on=passes)
        self._producing = calls("log", retry_on=repeats)
        streams = partial(
            Retry, attempts=resumptions, backoff=Backoff(most=5.0), observe=observe
        )
        self._following = streams("log stream", retry_on=passes)
        self._sending = streams("log stream", retry_on=repeats)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End all connections, and the calls over them."""
        await self._calling.close()

    async def produce(self, records: Sequence[Record]) -> int:
        """
        Append; return the offset of the first one. The others follow without a gap.

        Raises:
            OutcomeUnknown: They are stored or not.
            WritesRefused: The same; the service takes none until a restart.
            CommitLogError: They are not stored.
        """
        named = map(with_id, records) if self._identified else records
        request = log_pb2.ProduceRequest(
            stream=self._stream, records=map(to_send, named)
        )
        answer = await self._call("Produce", request, produces=True)
        return cast("int", answer.offset)

    async def produce_stream(
        self,
        batches: AsyncIterator[Sequence[Record]],
        *,
        window_bytes: int = 4_194_304,
    ) -> AsyncGenerator[Acknowledged, None]:
        """
        Append batches as they come; yield what each became, in their order.

        Args:
            batches: Each gets consecutive offsets; empty ones are left out. What it
                raises is raised, once all before it is acknowledged.
            window_bytes: Bytes that may wait for their acknowledgement; then no more
                is taken from *batches*.

        Raises:
            OutcomeUnknown: What was yielded is stored; of the batches behind it the
                first ones may be.
            CommitLogError: What was yielded is stored, and nothing behind it.
        """
        outgoing = Outgoing(
            batches, window_bytes=window_bytes, identified=self._identified
        )
        session = partial(self._produced, outgoing)
        try:
            async with aclosing(resumed(session, self._sending)) as all_of_it:
                async for each in all_of_it:
                    yield each
        except CommitLogError as error:
            raise _told(error, in_doubt=outgoing.in_doubt) from error
        finally:
            await outgoing.close()

    async def consume(
        self, offset: int, *, max_records: int = 0, max_bytes: int = 0
    ) -> list[Record]:
        """
        Return records from an offset on: at least one, without a gap.

        Args:
            offset: Of the first one.
            max_records: Most of them; 0: the server's limit.
            max_bytes: Bytes after which no further one is added; 0: the server's limit.

        Raises:
            OffsetOutOfRange: There is none: not yet, or no longer.
            CommitLogError: They can't be had.
        """
        request = log_pb2.ConsumeRequest(
            stream=self._stream,
            offset=offset,
            max_records=max_records,
            max_bytes=max_bytes,
        )
        answer = await self._call("Consume", request)
        return received(answer.records)

    async def between(
        self, begin: int, end: int | None = None
    ) -> AsyncGenerator[list[Record], None]:
        """
        Yield the records from offset *begin* up to, and without, *end*, in batches.

        Args:
            begin: Of the first one.
            end: What is the next offset when it begins, without.

        Raises:
            CommitLogError: As `consume`.
        """
        place = _Place(begin)
        if end is None:
            lowest, end = await self.offsets()
            if begin > end:
                raise OffsetOutOfRange(begin, lowest=lowest, next_offset=end)
        while place.next < end:
            most = min(end - place.next, _MOST_RECORDS)
            yield place.take(await self.consume(place.next, max_records=most))

    async def follow(self, offset: int) -> AsyncGenerator[list[Record], None]:
        """
        Yield records from an offset on, in batches, and wait for more at the end.

        It goes on through restarts of the server, without gap or duplicate, and ends
        when it is closed.

        Raises:
            OffsetOutOfRange: There is no such record, nor is it the next one.
            CommitLogError: They can't be had; attempts are exhausted.
        """
        session = partial(self._followed, _Place(offset), Flight())
        async with aclosing(resumed(session, self._following)) as batches:
            async for batch in batches:
                yield batch

    async def offsets(self) -> Offsets:
        """
        Return the offset of the first record, and that of the next one.

        Raises:
            CommitLogError: The service can't be asked.
        """
        request = log_pb2.GetOffsetsRequest(stream=self._stream)
        answer = await self._call("GetOffsets", request)
        return Offsets(answer.lowest, answer.next)

    async def offset_at(self, timestamp: int) -> int:
        """
        Return the offset of the first record taken then or later; the next one when
        there is none.

        Args:
            timestamp: Milliseconds since 1970.

        Raises:
            CommitLogError: The service can't be asked.
        """
        request = log_pb2.GetOffsetsRequest(stream=self._stream, timestamp_ms=timestamp)
        answer = await self._call("GetOffsets", request)
        return cast("int", answer.offset_at_timestamp)

    async def _call(self, name: str, request: Any, *, produces: bool = False) -> Any:
        flight = Flight()
        retry = self._producing if produces else self._reading
        try:
            async with timeout(self._deadline):
                once = partial(self._once, name, request, flight, produces=produces)
                return await retry.call(once)
        except DeadlineExceeded as error:
            late = LogUnreachable(f"no answer within {self._deadline:g} s")
            raise _told(late, in_doubt=flight.in_doubt) from error
        except CommitLogError as error:
            raise _told(error, in_doubt=flight.in_doubt) from error

    async def _once(
        self, name: str, request: Any, flight: Flight, *, produces: bool
    ) -> Any:
        async with self._calling.line(flight, produces=produces) as line:
            call = getattr(line.stub, name)
            return await call(request, timeout=remaining(), metadata=line.metadata)

    async def _produced(
        self, outgoing: Outgoing
    ) -> AsyncGenerator[Acknowledged | None, None]:
        """Send what was not acknowledged, and what comes, on one stream."""
        outgoing.again()
        try:
            async with self._calling.line(Flight(), produces=True) as line:
                call: Any = line.stub.ProduceStream(metadata=line.metadata)
                writing = asyncio.create_task(_write(call, outgoing, self._stream))
                try:
                    while (answer := await call.read()) is not grpc.aio.EOF:
                        outgoing.acknowledge()
                        yield Acknowledged(answer.offset, answer.count)
                    await writing
                finally:
                    call.cancel()
                    writing.cancel()
                    await asyncio.wait([writing])
        except OutcomeUnknown as error:
            raise outgoing.lost(str(error)) from error
        if not outgoing.is_done:
            raise outgoing.lost("the server ended the stream")

    async def _followed(
        self, place: "_Place", flight: Flight
    ) -> AsyncGenerator[list[Record] | None, None]:
        """Read one stream."""
        try:
            async with self._calling.line(flight, produces=False) as line:
                request = log_pb2.ConsumeStreamRequest(
                    stream=self._stream, offset=place.next
                )
                call: Any = line.stub.ConsumeStream(request, metadata=line.metadata)
                try:
                    await call.initial_metadata()
                    if not call.done():
                        yield None
                    while (answer := await call.read()) is not grpc.aio.EOF:
                        yield place.take(received(answer.records))
                finally:
                    call.cancel()
        except OffsetOutOfRange as error:
            raise place.judged(error) from error
        raise LogUnreachable("the server ended the stream")


class _Place:
    """
    Where a consumer is.

    Attributes:
        next: Offset of the record that it gets next.
    """

    def __init__(self, offset: int) -> None:
        self.next = offset
        self._begun = False
        self._lags = 0

    def take(self, records: list[Record]) -> list[Record]:
        """
        Return what comes next of *records*.

        Raises:
            CallFailed: Something is left out.
        """
        fresh = [each for each in records if each.offset >= self.next]
        for expected, each in enumerate(fresh, start=self.next):
            if each.offset != expected:
                text = f"offset {each.offset} came in the place of {expected}"
                raise CallFailed(grpc.StatusCode.DATA_LOSS, text)
        if fresh:
            self.next, self._begun, self._lags = fresh[-1].offset + 1, True, 0
        return fresh

    def judged(self, error: OffsetOutOfRange) -> CommitLogError:
        """Return *error*, or that a server has not heard of what another one gave."""
        behind = self._begun and error.next_offset < error.offset
        if not behind or self._lags == _LAGS:
            return error
        self._lags += 1
        return LogUnreachable(f"the server lags behind: {error}")


async def _write(call: Any, outgoing: Outgoing, stream: str) -> None:
    """Send batch after batch; what fails in that is told to who reads."""
    try:
        while (batch := await outgoing.take()) is not None:
            request = log_pb2.ProduceStreamRequest(stream=stream, records=batch)
            try:
                await call.write(request)
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                return
    finally:
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            await call.done_writing()


def _told(error: CommitLogError, *, in_doubt: bool) -> CommitLogError:
    """Return *error*, which must not say that nothing was stored when it may be."""
    if in_doubt and not isinstance(error, WritesRefused):
        return OutcomeUnknown(str(error))
    return error
