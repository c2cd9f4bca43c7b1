"""
A stream of requests, stored in their order, as fast as the disk takes groups.

While some requests are being stored, those that come in wait; then all of them are one
append. So there is one append of a stream at a time: when it fails, nothing behind it
has been given to the log, and a producer that goes on with the first request that was
not acknowledged keeps its order.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence

from service.commitlog import CommitLog, Record
from service.commitlog.errors import BadRecords, CommitLogError, RecordTooLarge
from service.commitlog.record import FRAME_HEADER_BYTES
from service.log_api.errors import CallRefused, Reason
from service.log_api.v1 import log_pb2
from service.log_service.ending import Endings
from service.log_service.messages import records_of

__all__ = ["Intake", "store", "stored"]

AHEAD = 1_048_576
"""Bytes of requests that are read while earlier ones are being stored."""


class Intake:
    """
    Requests of one stream, read ahead.

    Args:
        requests: As they come.
        admit: Called with each, before it is taken; may wait, and raise CallRefused.
        endings: Ends the reading when the server is to stop.
        check: Raises CallRefused when its producer may do so no longer.

    Concurrency:
        One task runs it, one takes.
    """

    def __init__(
        self,
        requests: AsyncIterator[log_pb2.ProduceStreamRequest],
        *,
        admit: Callable[[log_pb2.ProduceStreamRequest], Awaitable[None]],
        endings: Endings,
        check: Callable[[], object] = lambda: None,
    ) -> None:
        self._requests, self._admit = requests, admit
        self._endings, self._check = endings, check
        self._taken: list[list[Record]] = []
        self._bytes = 0
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._ended = False
        self._failure: BaseException | None = None

    async def run(self) -> None:
        """Read until the producer ends, fails, or the server is to stop."""
        try:
            async with self._endings.waiting(check=self._check):
                async for request in self._requests:
                    await self._admit(request)
                    await self._take_in(request)
        except CommitLogError as refused:
            self._failure = refused
        finally:
            self._ended = True
            self._changed.set()

    async def take(self) -> list[list[Record]]:
        """
        Return the records of each request that waits: at least one, unless it ended.

        Raises:
            CommitLogError: Why no more is read, once all that was read is taken.
        """
        while not self._taken and not self._ended:
            self._changed.clear()
            await self._changed.wait()
        if not self._taken and self._failure is not None:
            raise self._failure
        taken, self._taken, self._bytes = self._taken, [], 0
        self._room.set()
        return taken

    async def _take_in(self, request: log_pb2.ProduceStreamRequest) -> None:
        self._taken.append(records_of(request.records))
        # small records take more here than in their message
        self._bytes += request.ByteSize() + len(request.records) * FRAME_HEADER_BYTES
        self._changed.set()
        while self._bytes >= AHEAD:
            self._room.clear()
            await self._room.wait()


async def store(log: CommitLog, records: Sequence[Record]) -> int:
    """
    Append *records*; return the offset of the first.

    Raises:
        CallRefused: They can't be stored as they are.
        CommitLogError: As `CommitLog.append`.
    """
    try:
        return await log.append(records)
    except BadRecords as error:
        raise CallRefused(Reason.INVALID_REQUEST, str(error)) from error
    except ValueError as error:
        detail = "a record can't be stored as it is"
        raise CallRefused(Reason.INVALID_REQUEST, detail) from error


async def stored(
    log: CommitLog, requests: Sequence[Sequence[Record]]
) -> AsyncGenerator[tuple[int, int], None]:
    """
    Append the records of all *requests*, in one step if that can be.

    Yields:
        The offset of the first record, and the number of records, of each request.

    Raises:
        CommitLogError: Of the first request that is not stored; none behind it is.
    """
    try:
        offset = await store(log, [record for each in requests for record in each])
    except (RecordTooLarge, CallRefused):
        if len(requests) == 1:
            raise
        # one of them is wrong, or they are too much at once: nothing is stored yet
        for each in requests:
            yield await store(log, each), len(each)
    else:
        for each in requests:
            yield offset, len(each)
            offset += len(each)
