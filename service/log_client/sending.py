"""
What a stream of producers has sent, and what was acknowledged of it.

    taken from the source ──▶ sent ──▶ acknowledged, and forgotten
                          ◀── again, on the next stream, what is not

No more is taken while too much waits for its acknowledgement, so a source of any length
needs the memory of one window. A batch that may be too large for the server is alone on
its way: gRPC ends the whole stream for it, and acknowledges nothing of what is with it.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import NamedTuple

import grpc

from service.commitlog.errors import CommitLogError, LogUnreachable, OutcomeUnknown
from service.commitlog.record import Record
from service.log_api.v1 import log_pb2
from service.log_client.errors import CallFailed
from service.log_client.records import to_send, with_id

__all__ = ["Outgoing", "SourceFailed"]

_LARGE = 4_000_000
"""Bytes of a batch that may be too large: a server takes messages of 4 MiB unless it is
told otherwise, in which 10,000 records have some bytes each in between."""


class _Batch(NamedTuple):
    """Records, and how many bytes they have."""

    records: list[log_pb2.Record]
    size: int


class SourceFailed(Exception):
    """
    The source raised: no failure of a call, whatever it is of, and not tried again.

    Args:
        error: What it raised.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(repr(error))
        self.error = error


class Outgoing:
    """
    Batches on their way.

    Args:
        source: What is to be sent.
        window_bytes: Bytes that may wait for their acknowledgement; one batch always.
        identified: Whether each record gets an id.

    Concurrency:
        One task takes, another one acknowledges.
    """

    def __init__(
        self,
        source: AsyncIterator[Sequence[Record]],
        *,
        window_bytes: int,
        identified: bool,
    ) -> None:
        self._source = source
        self._window = window_bytes
        self._identified = identified
        self._waiting: deque[_Batch] = deque()
        self._bytes = 0
        self._sent = 0
        self._room = asyncio.Event()
        self._doubtful = 0
        self._pulling: asyncio.Task[Sequence[Record] | None] | None = None
        self._ended = False

    @property
    def is_done(self) -> bool:
        """Whether all of the source was acknowledged."""
        return self._ended and not self._waiting

    @property
    def in_doubt(self) -> bool:
        """Whether something may be stored that was not acknowledged."""
        return self._doubtful > 0

    def again(self) -> None:
        """Begin with the first batch that was not acknowledged."""
        self._sent = 0

    async def take(self) -> list[log_pb2.Record] | None:
        """Return what is to be sent next, None after the last."""
        if self._sent == len(self._waiting):
            await self._until(lambda: self._bytes < self._window)
            batch = await self._next()
            if batch is None:
                return None
            self._waiting.append(batch)
            self._bytes += batch.size
        await self._until(self._may_go)
        self._sent += 1
        return self._waiting[self._sent - 1].records

    def acknowledge(self) -> None:
        """
        Forget the first batch that waits.

        Raises:
            CallFailed: None was sent that is not acknowledged already.
        """
        if not self._sent:
            text = "the server acknowledged what was not sent to it"
            raise CallFailed(grpc.StatusCode.DATA_LOSS, text)
        self._bytes -= self._waiting.popleft().size
        self._sent -= 1
        self._doubtful = max(0, self._doubtful - 1)
        self._room.set()

    def lost(self, why: str) -> CommitLogError:
        """Note that the stream ended without a word, and return what to raise."""
        self._doubtful = max(self._doubtful, self._sent)
        if not self._sent:
            return LogUnreachable(why)
        count = sum(len(self._waiting[n].records) for n in range(self._sent))
        return OutcomeUnknown(f"{count} records sent and not acknowledged: {why}")

    def refused(self) -> None:
        """
        Note that the stream ended for one message, nobody knows which: it is not
        stored, nor what is behind it. Those before it may be.
        """
        self._doubtful = max(self._doubtful, self._sent - 1)

    async def close(self) -> None:
        """Take no more from the source."""
        if self._pulling is not None:
            self._pulling.cancel()
            await asyncio.wait([self._pulling])

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait for acknowledgements until *condition* holds."""
        while not condition():
            self._room.clear()
            await self._room.wait()

    def _may_go(self) -> bool:
        """Whether the next batch may join what is on its way."""
        if not self._sent:
            return True
        first, following = self._waiting[0], self._waiting[self._sent]
        return max(first.size, following.size) < _LARGE

    async def _next(self) -> _Batch | None:
        while not self._ended:
            if self._pulling is None:
                self._pulling = asyncio.create_task(self._pull())
            # a stream that breaks off must not cancel the source with it
            await asyncio.wait([self._pulling])
            records = self._pulling.result()  # what the source raised stays there
            if records is None:
                self._ended = True
                return None
            self._pulling = None
            if records:
                named = map(with_id, records) if self._identified else records
                return _batch([to_send(each) for each in named])
        return None

    async def _pull(self) -> Sequence[Record] | None:
        return await anext(self._source, None)


def _batch(records: list[log_pb2.Record]) -> _Batch:
    return _Batch(records, sum(each.ByteSize() for each in records))
