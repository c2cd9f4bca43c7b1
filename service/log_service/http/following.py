"""
Server-Sent Events: each record an event, whose id is its offset.

A follower that was cut comes again with `Last-Event-ID`, as browsers do by themselves,
and goes on after it: no record is missed and none comes twice. It waits by the log's
notification; comments in between keep proxies from closing a quiet connection. One that
takes nothing is ended by the listener's write time-out, and keeps old records from
retention no longer.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, aclosing
from functools import partial
from typing import Any

from service.commitlog import CommitLog, Record
from service.commitlog.errors import CommitLogError
from service.commitlog.reading import followed, from_lowest
from service.concurrency.cancelling import cancelled
from service.log_api.errors import CallRefused, Reason, reason_of
from service.log_service.http.answers import record_json
from service.observability.commitlog_metrics import CommitLogMetrics
from service.server.responses import json_bytes
from service.settings.log_http import LogHttpSettings

__all__ = ["Followers"]

_BEAT = b":\n\n"

_BATCH = {"max_records": 256, "max_bytes": 262_144}
"""Of one piece of the stream."""

_AGAIN = (1000, 3000)
"""Milliseconds after which those who are ended come again: not all at once."""


class Followers:
    """
    All streams of events; a part that ends them when the service stops.

    Args:
        settings: Gives the settings as they are now.
        metrics: Where they are counted.

    Concurrency:
        For the main event loop.
    """

    name = "log_followers"

    def __init__(
        self, settings: Callable[[], LogHttpSettings], *, metrics: CommitLogMetrics
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._open = 0
        self._stopping = asyncio.Event()

    async def start(self) -> None:
        """Nothing is to be opened."""

    async def stop(self) -> None:
        """End what is left."""
        self._stopping.set()

    def begin_drain(self) -> None:
        """Let streams be: they end when load balancers send their clients elsewhere."""

    async def finish(self, *, grace: float) -> int:  # noqa: ARG002 - of the protocol
        """End all streams; the main server waits for them."""
        self._stopping.set()
        return 0

    def admit(self) -> None:
        """
        Return when there is room for one more.

        Raises:
            CallRefused: There are as many as there may be, or the service stops.
        """
        if self._stopping.is_set():
            raise CallRefused(Reason.STOPPING)
        if self._open >= self._settings().max_followers:
            raise CallRefused(Reason.TOO_MANY_STREAMS)

    async def events(
        self,
        log: CommitLog,
        offset: int,
        *,
        given: Callable[[int], None],
        place: AbstractContextManager[None],
        is_lowest: bool = False,
    ) -> AsyncGenerator[bytes, None]:
        """
        Yield the stream, until something ends it.

        Args:
            log: What is followed.
            offset: Of the first record.
            given: Told how many records go out next; raises CommitLogError when they
                may not.
            place: Entered while it lasts; raises CommitLogError when there is none.
            is_lowest: Whether *offset* only stands for the lowest one, which may rise
                until it is read.
        """
        # counted when it begins: of those that never do nobody would tell the end
        self._open += 1
        self._metrics.followers.inc()
        try:
            # those who came together were all let in while there was room
            if self._open > self._settings().max_followers:
                raise CallRefused(Reason.TOO_MANY_STREAMS)
            with place:
                yield b": from %d\n\n" % offset
                begin = partial(_followed, log)
                follow = from_lowest(begin, offset) if is_lowest else begin(offset)
                async with aclosing(self._batches(follow)) as batches:
                    async for batch in batches:
                        given(len(batch))
                        yield b"".join(map(_event, batch)) or _BEAT
                yield _end(Reason.STOPPING)
        except CommitLogError as error:
            yield _end(reason_of(error)[0])
        finally:
            self._open -= 1
            self._metrics.followers.dec()

    async def _batches(
        self, follow: AsyncGenerator[Sequence[Record], None]
    ) -> AsyncGenerator[Sequence[Record], None]:
        """Yield what comes, and nothing at each heartbeat, until the service stops."""
        stopping = asyncio.ensure_future(self._stopping.wait())
        async with aclosing(follow):
            coming = _next(follow)
            try:
                while not stopping.done():
                    waited: set[asyncio.Future[Any]] = {coming, stopping}
                    await asyncio.wait(
                        waited,
                        timeout=self._settings().heartbeat,
                        return_when=asyncio.FIRST_COMPLETED,
                    )
                    if not coming.done():
                        yield ()
                        continue
                    yield coming.result()
                    coming = _next(follow)
            finally:
                await cancelled((stopping, coming))


def _followed(log: CommitLog, offset: int) -> AsyncGenerator[Sequence[Record], None]:
    return followed(log, offset, **_BATCH)


def _next(batches: AsyncIterator[Sequence[Record]]) -> asyncio.Future[Sequence[Record]]:
    # a task: a wait for it may end, and it goes on
    return asyncio.ensure_future(anext(batches))


def _event(record: Record) -> bytes:
    return b"id: %d\ndata: %s\n\n" % (record.offset, json_bytes(record_json(record)))


def _end(reason: Reason) -> bytes:
    wait = random.randint(*_AGAIN)  # noqa: S311 - no secret
    data = json_bytes({"reason": reason.value})
    return b"retry: %d\nevent: end\ndata: %s\n\n" % (wait, data)
