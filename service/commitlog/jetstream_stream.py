"""
The stream that holds a log: made, looked at, read.

Reads are direct gets, which any replica answers. One that lags behind may not have yet
what is acknowledged; such a read is tried again.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from nats.aio.msg import Msg

from service.commitlog.errors import (
    CommitLogError,
    LogDamaged,
    LogUnreachable,
)
from service.commitlog.jetstream_connection import (
    Connection,
    NoAnswer,
    NotSent,
    Refused,
)
from service.commitlog.jetstream_message import from_message
from service.commitlog.jetstream_options import JetStreamOptions
from service.commitlog.protocol import Offsets
from service.commitlog.record import Record

__all__ = ["Stream"]

_T = TypeVar("_T")

_ANSWER = 3.0
"""Seconds for one answer before the question is asked again."""
_PAUSE = 0.1
_NOT_FOUND = 10059
_LATER = {10005, 10008, 10009, 10058, 10118, 10194}
"""No leader or too few servers yet, or another process makes the stream right now."""
_EPOCH = datetime.fromtimestamp(0, UTC)
_LATEST = 9_223_372_036_000
"""Milliseconds that a server can count in nanoseconds: up to the year 2262."""
_SLACK = 4096
"""Asked for on top of the bytes a caller wants: the server counts its headers, too."""


class Stream:
    """
    The stream of *options*.

    Attributes:
        offsets: Which records there are, as far as is known.
        led: The next offset, by the leader that was asked last.
        size_bytes: What the records take on one server, by the same.
        changed: Called whenever `offsets` has become another, whoever learnt of it.

    Concurrency: for one event loop.
    """

    def __init__(self, connection: Connection, options: JetStreamOptions) -> None:
        self._connection, self._options = connection, options
        self._created = ""
        self.offsets, self.led, self.size_bytes = Offsets(0, 0), 0, 0
        self.changed: Callable[[], None] = lambda: None

    async def prepare(self) -> None:
        """
        Make the stream, or change one that is there to the options.

        Raises:
            LogUnreachable: No leader answers in time.
            CommitLogError: The servers refuse it, or lack what it needs.
        """
        wanted = self._options.stream_config()
        try:
            await self._retried(lambda within: self._prepare(wanted, within))
        except Refused as error:
            raise CommitLogError(f"stream {self._options.stream}: {error}") from error

    async def refresh(self, *, within: float | None = None) -> Offsets:
        """
        Ask the leader which records there are.

        Args:
            within: Seconds it has for its answer; None: the timeout of the options.

        Raises:
            LogUnreachable: It doesn't answer in time.
            LogDamaged: The stream was made anew, or is gone for all of that time.
        """
        ask = partial(self._ask, "INFO", None)
        try:
            # servers that have just started may not know yet which streams they have
            self._saw(await self._retried(ask, within, later=_LATER | {_NOT_FOUND}))
        except Refused as error:
            raise self.damaged(f"can't be read: {error}") from error
        return self.offsets

    def grew(self, next_offset: int) -> None:
        """Know that there are records up to *next_offset*."""
        if next_offset > self.offsets.next:
            self._know(Offsets(self.offsets.lowest, next_offset))

    async def get(
        self, offset: int, *, max_records: int, max_bytes: int
    ) -> Sequence[Record]:
        """
        Return records from *offset* on; none when a replica that has it doesn't answer.

        The first may be a later one, and there may be gaps.

        Raises:
            LogUnreachable: No replica answers in time.
        """
        body = {
            "seq": offset + 1,
            "batch": max_records,
            "max_bytes": max_bytes + _SLACK,
        }
        return [_record(message) for message in await self._direct(body)]

    async def get_at(self, timestamp: int) -> Record | None:
        """Return the first record taken at *timestamp* or later, if there is one."""
        # any that a client sends; none before or after these has a record
        known = min(max(timestamp, 0), _LATEST)
        moment = _EPOCH + timedelta(milliseconds=known)
        text = moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        found = await self._direct({"start_time": text, "batch": 1})
        return _record(found[0]) if found else None

    async def _direct(self, body: object) -> list[Msg]:
        subject = f"$JS.API.DIRECT.GET.{self._options.stream}"
        return await self._retried(
            lambda within: self._connection.request_many(subject, body, within=within)
        )

    async def _prepare(self, wanted: dict[str, Any], within: float) -> None:
        try:
            info = await self._ask("INFO", None, within)
        except Refused as error:
            if error.code != _NOT_FOUND:
                raise
            info = await self._ask("CREATE", wanted, within)
        if _differs(wanted, info["config"]):
            info = await self._ask("UPDATE", info["config"] | wanted, within)
        if missing := _differs(wanted, info["config"]):
            raise CommitLogError(
                f"stream {self._options.stream}: the servers don't keep {missing};"
                " nats-server 2.12 or later is needed"
            )
        self._saw(info)

    async def _ask(self, what: str, body: object, within: float) -> dict[str, Any]:
        name = f"STREAM.{what}.{self._options.stream}"
        return await self._connection.ask(name, body, within=within)

    def _saw(self, info: dict[str, Any]) -> None:
        """
        Take *info* in.

        The next offset never goes back: a leader that was just elected may still apply
        what the one before it acknowledged.
        """
        if self._created and info["created"] != self._created:
            raise self.damaged("was deleted and made anew")
        self._created = info["created"]
        lowest, last = info["state"]["first_seq"] - 1, info["state"]["last_seq"]
        # an empty stream has a first sequence of 0, or one after the last
        lowest = min(max(lowest, self.offsets.lowest), last)
        self.led, self.size_bytes = last, info["state"]["bytes"]
        self._know(Offsets(lowest, max(last, self.offsets.next)))

    def _know(self, offsets: Offsets) -> None:
        if offsets != self.offsets:
            self.offsets = offsets
            self.changed()

    def damaged(self, reason: str, offset: int = 0) -> LogDamaged:
        """Return the error that tells of records that are not there."""
        return LogDamaged(f"stream {self._options.stream}", offset, reason)

    async def _retried(
        self,
        call: Callable[[float], Awaitable[_T]],
        limit: float | None = None,
        *,
        later: AbstractSet[int] = _LATER,
    ) -> _T:
        """Return what *call* does, tried again while nobody answers, or *later*."""
        deadline = time.monotonic() + (limit or self._options.timeout)
        wait = _ANSWER
        failure: Exception
        while True:
            left = deadline - time.monotonic()
            try:
                return await call(max(0.05, min(wait, left)))
            except NoAnswer as error:
                # one that is only slow never comes to its end if it begins anew
                wait, failure = 2 * wait, error
            except NotSent as error:
                failure = error
            except Refused as error:
                if error.code not in later:
                    raise
                failure = error
            if time.monotonic() >= deadline:
                if isinstance(failure, Refused) and failure.code not in _LATER:
                    raise failure
                raise LogUnreachable(f"no answer in time: {failure}") from failure
            await asyncio.sleep(_PAUSE)


def _differs(wanted: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Return the keys of *wanted* that *found* has not; false ones may be left out."""
    return [
        key for key, value in wanted.items() if (found.get(key) or 0) != (value or 0)
    ]


def _record(message: Msg) -> Record:
    headers = message.headers or {}
    taken = datetime.fromisoformat(headers["Nats-Time-Stamp"]) - _EPOCH
    milliseconds = (
        taken.days * 86_400_000 + taken.seconds * 1000 + taken.microseconds // 1000
    )
    return from_message(
        message.data, headers, int(headers["Nats-Sequence"]) - 1, milliseconds
    )
