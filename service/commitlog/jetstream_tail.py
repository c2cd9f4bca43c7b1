"""
The end of a stream, as it grows: what followers wait for.

While anybody follows, one consumer of the server pushes each new message to this
process, once for all followers. The newest are kept, so that a follower at the end
reads them without asking the server. When the connection, the consumer or a message is
lost, a new consumer begins where the last one ended: nothing is missed, nothing comes
twice.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import islice

from nats.aio.msg import Msg

from service.commitlog.errors import CommitLogError, LogClosed
from service.commitlog.jetstream_connection import (
    Connection,
    NoAnswer,
    NotSent,
    Refused,
    status_of,
)
from service.commitlog.jetstream_message import from_message
from service.commitlog.protocol import Offsets
from service.commitlog.record import Record, size_of

__all__ = ["Tail"]

_log = logging.getLogger(__name__)

_HEARTBEAT = 1.0
"""Seconds after which a server with nothing to send says that it is there."""
_SILENT = 3.0
"""Seconds without a word after which another consumer is made."""
_PAUSE = 0.2
"""Seconds before that."""
_ANSWER = 5.0
_INACTIVE = 30
"""Seconds after which the server forgets a consumer that nobody hears."""
_KEPT_BYTES = 4 * 1024 * 1024


class Tail:
    """
    The newest records of *stream*, while somebody follows.

    Args:
        connection: Of the log.
        stream: Its name.
        grown: Called with the next offset after each record that came.
        look: Asks which records there are; raises when the stream is another one.

    Concurrency: for one event loop.
    """

    def __init__(
        self,
        connection: Connection,
        stream: str,
        grown: Callable[[int], None],
        *,
        look: Callable[[], Awaitable[Offsets]],
    ) -> None:
        self._connection, self._stream, self._grown = connection, stream, grown
        self._look = look
        self._records: deque[Record] = deque()
        self._bytes = self._next = self._followers = 0
        self._heard, self._broken = False, asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def followed(self, next_offset: int) -> Iterator[None]:
        """Keep the tail from *next_offset* on until the block ends, at least."""
        self._followers += 1
        if self._followers == 1:
            # one that came after the last follower had left stands before a gap
            self._clear()
            self._next = next_offset
            self._task = asyncio.create_task(self._run(), name="commit log tail")
        try:
            yield
        finally:
            self._followers -= 1
            if not self._followers:
                self._stop()

    def read(self, offset: int, max_records: int) -> Sequence[Record]:
        """Return kept records from *offset* on; empty when they are not kept."""
        if not self._records or offset < self._records[0].offset:
            return ()
        start = offset - self._records[0].offset
        return list(islice(self._records, start, start + max_records))

    def _stop(self) -> None:
        if self._task:
            self._task.cancel()
        self._task = None
        self._clear()

    def _clear(self) -> None:
        self._records.clear()
        self._bytes = 0

    async def _run(self) -> None:
        while True:
            try:
                await self._consume()
            except LogClosed:
                return
            except (NotSent, NoAnswer, Refused, CommitLogError) as error:
                _log.info("commit log tail: %s", error)
            await asyncio.sleep(_PAUSE)

    async def _consume(self) -> None:
        """Take messages from one consumer until it is lost."""
        self._broken.clear()
        # one that was made anew would give other records for the same offsets
        self._skip((await self._look()).lowest)
        async with self._connection.subscribed(self._take) as subject:
            await self._connection.ask(
                f"CONSUMER.CREATE.{self._stream}",
                self._consumer(subject),
                within=_ANSWER,
            )
            while True:
                self._heard = False
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_SILENT):
                        await self._broken.wait()
                if self._broken.is_set() or not self._heard:
                    return

    def _skip(self, lowest: int) -> None:
        """Go on at *lowest* where what comes next is no longer kept."""
        if self._next < lowest:
            self._clear()
            self._next = lowest

    def _consumer(self, subject: str) -> dict[str, object]:
        return {
            "stream_name": self._stream,
            "config": {
                "deliver_subject": subject,
                "deliver_policy": "by_start_sequence",
                "opt_start_seq": self._next + 1,
                "ack_policy": "none",
                "flow_control": True,
                "idle_heartbeat": int(_HEARTBEAT * 1e9),
                "inactive_threshold": int(_INACTIVE * 1e9),
                "num_replicas": 1,
                "mem_storage": True,
            },
        }

    async def _take(self, message: Msg) -> None:
        self._heard = True
        if status_of(message) is not None:
            await self._control(message)
            return
        # $JS.ACK. stream, consumer, deliveries, sequence, consumer's, time, pending
        tokens = message.reply.split(".")
        sequence, nanoseconds = int(tokens[-4]), int(tokens[-2])
        if sequence != self._next + 1:
            self._broken.set()
            return
        self._keep(
            from_message(
                message.data, message.headers, sequence - 1, nanoseconds // 1_000_000
            )
        )

    async def _control(self, message: Msg) -> None:
        """Answer what the server asks between messages, or it sends no more."""
        stalled = (message.headers or {}).get("Nats-Consumer-Stalled")
        if reply := message.reply or stalled:
            with contextlib.suppress(NotSent):
                await self._connection.publish(reply)

    def _keep(self, record: Record) -> None:
        self._records.append(record)
        self._bytes += size_of(record)
        while self._bytes > _KEPT_BYTES and len(self._records) > 1:
            self._bytes -= size_of(self._records.popleft())
        self._next = record.offset + 1
        self._grown(self._next)
