"""
A commit log in NATS JetStream: kept by several servers, so that one may be lost.

A stream is the log, its sequence the offset plus one. An append returns once the
servers have acknowledged it: most of the replicas have it. Whether it is on their disks
by then is their setting: `sync_interval: always`, as k8s/components/nats has it.

What is not as with the segment log: many processes may write; followers don't hold
retention back, and one that is slower than it hears OffsetOutOfRange; timestamps are
those of the server that led when a record came.

Source: https://docs.nats.io/nats-concepts/jetstream
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial

from service.commitlog.bell import Bell
from service.commitlog.errors import (
    CommitLogError,
    LogBusy,
    LogDamaged,
    LogUnreachable,
    OffsetOutOfRange,
    raise_kept,
)
from service.commitlog.jetstream_connection import Connection
from service.commitlog.jetstream_options import JetStreamOptions
from service.commitlog.jetstream_publishing import Publishing
from service.commitlog.jetstream_stream import Stream
from service.commitlog.jetstream_tail import Tail
from service.commitlog.limits import check_batch
from service.commitlog.protocol import Offsets
from service.commitlog.record import Record, size_of

__all__ = ["JetStreamLog", "open_jetstream"]

_log = logging.getLogger(__name__)

_PAUSE = 0.1
"""Seconds before a replica that lags is asked again."""
_CLOSING = 5.0
"""Seconds that the appends on their way have when the log is closed."""
_LOOK = 3.0
"""Seconds for the answer to a look before the servers count as unreachable."""
_LAG = "the replicas that answer lag behind"
_REFRESH = 1.0
"""Seconds between two looks at which offsets there are: others append, too."""


async def open_jetstream(options: JetStreamOptions) -> "JetStreamLog":
    """
    Connect to the servers, make the stream or change it to the options, and open it.

    Raises:
        LogUnreachable: No server answers, or none leads, within the timeout.
        CommitLogError: The servers refuse the stream, or lack what it needs.
    """
    connection = await Connection.open(options)
    try:
        stream = Stream(connection, options)
        await stream.prepare()
    except BaseException:
        await connection.close()
        raise
    return JetStreamLog(connection, stream, options)


class JetStreamLog:
    """
    A `CommitLog` in JetStream. Made by `open_jetstream`, ended by `close`.

    `offsets` knows this process's own appends and what it followed at once, those of
    others within a second; `fresh_offsets` and `read` ask the servers.

    Concurrency: for the event loop that opened it.
    """

    def __init__(
        self, connection: Connection, stream: Stream, options: JetStreamOptions
    ) -> None:
        self._connection, self._stream, self._options = connection, stream, options
        self._publishing = Publishing(connection, options)
        self._bell = Bell()
        stream.changed = self._bell.ring
        self._tail = Tail(
            connection,
            options.stream,
            stream.grew,
            look=partial(stream.refresh, within=_LOOK),
        )
        self._waiting_bytes = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._refused: LogDamaged | None = None
        self._unreachable = False
        self._refresh = asyncio.create_task(self._keep_fresh(), name="commit log")

    @property
    def refused(self) -> LogDamaged | None:
        """Why no record is taken or given: the stream is not what it was; or None."""
        return self._refused

    @property
    def unreachable(self) -> bool:
        """Whether the servers did not answer the last look, a moment ago."""
        return self._unreachable

    @property
    def size_bytes(self) -> int:
        """Bytes that the records take on one server."""
        return self._stream.size_bytes

    async def append(self, records: Sequence[Record]) -> int:
        """
        Append *records*; see `CommitLog`.

        Raises:
            OutcomeUnknown: No acknowledgement came in time.
            LogUnreachable: None of the servers took them.
            LogDamaged: The stream is not what it was.
        """
        self._check()
        size = check_batch(records, self._options.policy)
        if self._waiting_bytes + size > self._options.policy.max_waiting_bytes:
            raise LogBusy(f"{self._waiting_bytes} bytes wait for acknowledgement")
        self._waiting_bytes += size
        self._idle.clear()
        try:
            sequence = await self._publishing.publish(records)
        finally:
            self._waiting_bytes -= size
            if not self._waiting_bytes:
                self._idle.set()
        self._stream.grew(sequence - 1 + len(records))
        return sequence - 1

    async def read(
        self, offset: int, *, max_records: int = 1000, max_bytes: int = 1 << 20
    ) -> Sequence[Record]:
        """
        Return records from *offset* on; see `CommitLog`.

        Raises:
            LogUnreachable: No server answers in time.
        """
        self._check()
        if found := self._tail.read(offset, max_records):
            return _within(found, max_bytes)
        deadline = time.monotonic() + self._options.timeout
        while offset != (await self._checked(offset)).next:
            found = await self._stream.get(
                offset, max_records=max_records, max_bytes=max_bytes
            )
            if found and found[0].offset == offset:
                return _within(found, max_bytes)
            # it is retained no longer, or this replica lags behind
            await self._stream.refresh()
            if time.monotonic() >= deadline:
                raise self._missing(offset, found)
            await asyncio.sleep(_PAUSE)
        return ()

    async def follow(
        self, offset: int, *, max_records: int = 1000, max_bytes: int = 1 << 20
    ) -> AsyncIterator[Sequence[Record]]:
        """Yield batches and wait for more; see `CommitLog`, and for retention above."""
        with self._tail.followed(self.offsets().next):
            while True:
                batch = await self.read(
                    offset, max_records=max_records, max_bytes=max_bytes
                )
                if batch:
                    yield batch
                    offset += len(batch)
                while offset >= self.offsets().next:
                    await self._bell.wait()
                    self._check()

    def offsets(self) -> Offsets:
        """Return which records can be read, as far as this process knows."""
        return self._stream.offsets

    async def fresh_offsets(self) -> Offsets:
        """Return which records can be read, as the leader knows; see `CommitLog`."""
        self._check()
        return await self._stream.refresh()

    async def offset_at(self, timestamp: int) -> int:
        """
        Return the offset of the first record at *timestamp* or later.

        Raises:
            LogUnreachable: No server that has it answers in time.
        """
        self._check()
        deadline = time.monotonic() + self._options.timeout
        while not (found := await self._stream.get_at(timestamp)):
            # the replica may lag: what the leader has last decides
            lowest, next_offset = await self._stream.refresh()
            if lowest == next_offset:
                return next_offset
            last = (await self.read(next_offset - 1))[0]
            if last.timestamp < timestamp:
                return next_offset
            if time.monotonic() >= deadline:
                raise LogUnreachable(_LAG)
            await asyncio.sleep(_PAUSE)
        return found.offset

    async def close(self) -> None:
        """Wait for the appends on their way, a little; followers end with LogClosed."""
        if self._bell.closed:
            return
        self._bell.close()
        self._refresh.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING):
                await self._idle.wait()
        await self._connection.close()

    def _check(self) -> None:
        self._bell.check()
        raise_kept(self._refused)

    async def _checked(self, offset: int) -> Offsets:
        """Return the offsets, asked for anew where *offset* is not among them."""
        offsets = self._stream.offsets
        if not offsets.lowest <= offset < offsets.next:
            offsets = await self._stream.refresh()
        lowest, next_offset = offsets
        if not lowest <= offset <= next_offset:
            raise OffsetOutOfRange(offset, lowest=lowest, next_offset=next_offset)
        return offsets

    def _missing(self, offset: int, found: Sequence[Record]) -> CommitLogError:
        """Return why a record that must be there is not to be had."""
        if found or self._stream.led <= offset:
            return self._stream.damaged("a record is missing", offset)
        return LogUnreachable(_LAG)

    async def _keep_fresh(self) -> None:
        while True:
            await asyncio.sleep(_REFRESH)
            try:
                await self._stream.refresh(within=_LOOK)
                self._refused, self._unreachable = None, False
            except LogUnreachable:
                self._unreachable = True
            except LogDamaged as error:
                if self._refused is None:
                    _log.error("no record is taken or given: %s", error)
                self._refused = error
                self._bell.ring()


def _within(records: Sequence[Record], max_bytes: int) -> Sequence[Record]:
    """Return the first of *records*, and those after it that fit, up to a gap."""
    first = records[0].offset
    for number, record in enumerate(records):
        max_bytes -= size_of(record)
        if number and (max_bytes < 0 or record.offset != first + number):
            return records[:number]
    return records
