"""
Records published to a stream, each stored once, told once they are replicated.

One record is one message; several are one atomic batch, so their offsets have no gap.
Every publish has a message id, the producer's or one made here. When no acknowledgement
comes, the same is sent again with the same id until `timeout`: the server stores it
once, and answers with where it is. An id is looked up by a message that expects a last
id that can't be: the server looks for duplicates first, so it is never stored.

Source: https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-50.md
"""

import asyncio
import random
import time
from collections.abc import Sequence
from typing import NamedTuple

from nats.nuid import NUID

from service.commitlog.errors import (
    BadRecords,
    CommitLogError,
    LogBusy,
    LogClosed,
    LogFull,
    LogUnreachable,
    OutcomeUnknown,
    RecordTooLarge,
)
from service.commitlog.jetstream_connection import (
    Connection,
    NoAnswer,
    NotSent,
    Refused,
    decoded,
)
from service.commitlog.jetstream_message import MESSAGE_ID, message_id, to_headers
from service.commitlog.jetstream_options import JetStreamOptions
from service.commitlog.record import Record

__all__ = ["MOST_RECORDS", "Publishing"]

MOST_RECORDS = 1000
"""Of one atomic batch: the server's default (`max_batch_size`)."""
_BATCHES = 16
"""Batches on their way at a time: the server takes 50 of a stream."""
_FIRST_WAIT, _LONGEST_WAIT = 2.0, 8.0
"""Seconds for an acknowledgement before the same is sent again."""
_PAUSE = 0.2
"""Seconds between two tries when nobody listens: a new leader takes seconds."""
_OVERHEAD = 256
"""Bytes of a message for ids and for what makes it one of a batch."""
_NEVER = "no record has this id"

_CONTAINS_DUPLICATE = 10201
_WRONG_LAST_ID = 10070
_TOO_LARGE = {10054, 10097, 10199}
_FULL = {10002, 10023, 10028, 10047, 10077, 10122}
_BUSY = {10167, 10210, 10211}
_LATER = {10008, 10009, 10118, 10158, 10176, 10194} | _BUSY
"""No leader, still being stored, or a batch that lost a message: soon again."""


class _Message(NamedTuple):
    payload: bytes
    headers: dict[str, str]


class Publishing:
    """
    Publishes to the stream of *options*.

    Concurrency: for one event loop; appends of one task are in their order.
    """

    def __init__(self, connection: Connection, options: JetStreamOptions) -> None:
        self._connection, self._options = connection, options
        self._ids = NUID()
        self._batches = asyncio.Semaphore(_BATCHES)

    async def publish(self, records: Sequence[Record]) -> int:
        """
        Store *records* and return the sequence of the first.

        Raises:
            RecordTooLarge, LogFull, LogBusy, LogUnreachable: Nothing is stored.
            OutcomeUnknown: They may be stored or not.
            BadRecords: An id can't be sent, or a part of them is stored already.
        """
        messages = self._messages(records)
        if len(messages) == 1:
            return await self._until_told(messages)
        async with self._batches:
            return await self._until_told(messages)

    def _messages(self, records: Sequence[Record]) -> list[_Message]:
        if len(records) > MOST_RECORDS:
            raise RecordTooLarge(f"a batch is over {MOST_RECORDS} records")
        most = self._connection.max_payload - _OVERHEAD
        messages = []
        for record in records:
            headers = to_headers(record)
            if len(record.value) + sum(map(len, headers.values())) > most:
                raise RecordTooLarge(
                    f"a message is over {most} bytes, headers included"
                )
            if identity := message_id(record):
                headers[MESSAGE_ID] = identity
            messages.append(_Message(record.value, headers))
        # A batch is stored whole or not at all: one id of ours tells for all of it.
        messages[0].headers.setdefault(MESSAGE_ID, self._ids.next().decode())
        return messages

    async def _until_told(self, messages: list[_Message]) -> int:
        deadline = time.monotonic() + self._options.timeout
        wait, doubt = _FIRST_WAIT, False
        failure: Exception
        while True:
            left = deadline - time.monotonic()
            try:
                return await self._send(messages, within=max(0.05, min(wait, left)))
            except NoAnswer as error:
                doubt, wait, failure = True, min(2 * wait, _LONGEST_WAIT), error
            except NotSent as error:
                failure = error
                await asyncio.sleep(_pause(left))
            except LogClosed as error:
                raise OutcomeUnknown("the log was closed meanwhile") from error
            except Refused as error:
                failure = error
                if error.code not in _LATER:
                    raise _refusal(error, doubt=doubt) from error
                await asyncio.sleep(_pause(left))
            if time.monotonic() >= deadline:
                raise _too_late(failure, doubt=doubt) from failure

    async def _send(self, messages: list[_Message], *, within: float) -> int:
        if len(messages) == 1:
            return await self._send_one(messages[0], within)
        try:
            return await self._send_batch(messages, within)
        except Refused as error:
            if error.code != _CONTAINS_DUPLICATE:
                raise
        return await self._stored_before(messages, within)

    async def _send_one(self, message: _Message, within: float) -> int:
        answer = await self._connection.request(
            self._options.subject,
            message.payload,
            headers=message.headers,
            within=within,
        )
        return int(decoded(answer)["seq"])

    async def _send_batch(self, messages: list[_Message], within: float) -> int:
        batch = self._ids.next().decode()
        for number, (payload, headers) in enumerate(messages[:-1], start=1):
            await self._connection.publish(
                self._options.subject,
                payload,
                headers=_of_batch(headers, batch, number),
            )
        payload, headers = messages[-1]
        last = _of_batch(headers, batch, len(messages)) | {"Nats-Batch-Commit": "1"}
        sequence = await self._send_one(_Message(payload, last), within)
        return sequence - len(messages) + 1

    async def _stored_before(self, messages: list[_Message], within: float) -> int:
        """Return where the batch is that was stored by an earlier try."""
        first = await self._find(messages[0].headers[MESSAGE_ID], within) or 0
        for number, message in enumerate(messages):
            identity = message.headers.get(MESSAGE_ID)
            if identity and await self._find(identity, within) != first + number:
                raise BadRecords(f"a part of the batch has a {MESSAGE_ID} of before")
        return first

    async def _find(self, identity: str, within: float) -> int | None:
        """Return the sequence of the message with this id; nothing is stored."""
        headers = {MESSAGE_ID: identity, "Nats-Expected-Last-Msg-Id": _NEVER}
        try:
            return await self._send_one(_Message(b"", headers), within)
        except Refused as error:
            if error.code == _WRONG_LAST_ID:
                return None
            raise


def _of_batch(headers: dict[str, str], batch: str, number: int) -> dict[str, str]:
    return headers | {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(number)}


def _pause(left: float) -> float:
    # producers that failed together must not come back together
    return min(_PAUSE * random.uniform(0.5, 1.5), max(0.0, left))  # noqa: S311 - no secret


def _refusal(error: Refused, *, doubt: bool) -> CommitLogError:
    """Return what *error* means; with *doubt* an earlier try may have been stored."""
    if doubt:
        return OutcomeUnknown(f"no acknowledgement, then: {error}")
    if error.code in _TOO_LARGE:
        return RecordTooLarge(str(error))
    if error.code in _FULL:
        return LogFull(str(error))
    return CommitLogError(f"JetStream refuses the records: {error}")


def _too_late(failure: Exception, *, doubt: bool) -> CommitLogError:
    if doubt:
        return OutcomeUnknown("no acknowledgement came in time")
    if isinstance(failure, Refused) and failure.code in _BUSY:
        return LogBusy(str(failure))
    return LogUnreachable(f"nothing was stored: {failure}")
