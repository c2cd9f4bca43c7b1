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

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from functools import partial
from types import TracebackType
from typing import Self, cast

from service.commitlog.errors import CommitLogError, OffsetOutOfRange
from service.commitlog.protocol import Offsets
from service.commitlog.record import Record
from service.discovery.balancer import Balancer
from service.log_api.v1 import log_pb2
from service.log_client.asking import Asking
from service.log_client.calling import Calling, Flight, Metadata
from service.log_client.errors import (
    IfUnknown,
    is_free,
    passes,
    passes_unknown,
    told,
)
from service.log_client.following import Place, followed
from service.log_client.options import ChannelOptions
from service.log_client.producing import Acknowledged, produced
from service.log_client.records import received, to_send, with_id
from service.log_client.resuming import resumed
from service.log_client.sending import Outgoing, SourceFailed
from service.resilience.backoff import Backoff
from service.resilience.events import Observe, ignore
from service.resilience.retry import Retry, RetryBudget

__all__ = ["LogClient"]

_MOST_RECORDS = 1000
"""Records that a server gives at once."""


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
        deadline: Seconds that a call that is no stream may take, attempts included;
            the default outlasts the restart of a pod.
        attempts: Most attempts of it; the default leaves the end to the deadline.
        resumptions: Most attempts of a stream from one success to the next; they are
            up to 5 s apart.
        budget: Share of calls that may be repeated, shared by all of the client. A
            service that is away is asked again without it.
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
        deadline: float = 30.0,
        attempts: int = 1000,
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
        repeats = passes if if_unknown == "raise" else passes_unknown
        calls = partial(
            Retry,
            attempts=attempts,
            backoff=Backoff(most=2.0),
            budget=budget or RetryBudget(),
            is_free=is_free,
            observe=observe,
        )
        asking = partial(Asking, self._calling, deadline=deadline)
        self._reading = asking(retry=calls("log", retry_on=passes))
        self._producing = asking(retry=calls("log", retry_on=repeats), produces=True)
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
        """
        End all connections, and the calls over them: what waits for one hears
        ClientClosed, or OutcomeUnknown of records that were sent.
        """
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
        answer = await self._producing.call("Produce", request)
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
            batches: Each gets consecutive offsets; empty ones are left out, and those
                over 4 MB go alone. What it raises is raised, once all before it is
                acknowledged.
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
        session = partial(produced, self._calling, self._stream, outgoing=outgoing)
        try:
            async with aclosing(resumed(session, self._sending)) as all_of_it:
                async for each in all_of_it:
                    yield each
        except SourceFailed as failed:
            raise failed.error from failed.error.__cause__
        except CommitLogError as error:
            raise told(error, in_doubt=outgoing.in_doubt) from error
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
        answer = await self._reading.call("Consume", request)
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
        place = Place(begin)
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
        session = partial(
            followed,
            self._calling,
            self._stream,
            place=Place(offset),
            flight=Flight(),
        )
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
        answer = await self._reading.call("GetOffsets", request)
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
        answer = await self._reading.call("GetOffsets", request)
        return cast("int", answer.offset_at_timestamp)
