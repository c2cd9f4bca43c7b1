"""The tail of a stream where its messages come at odd moments."""

import asyncio
import contextlib
from typing import NamedTuple

from service.commitlog import Offsets
from service.commitlog.jetstream_tail import Tail


class _Message(NamedTuple):
    """A record as a consumer of the server gives it."""

    data: bytes
    reply: str
    headers: None = None


def _message(offset):
    tokens = f"$JS.ACK.log.consumer.1.{offset + 1}.{offset + 1}.0.0"
    return _Message(b"%d" % offset, tokens)


class _Connection:
    """Tells the test where the messages go."""

    def __init__(self):
        self.starts = []

    async def ask(self, _subject, consumer, **_options):
        self.starts.append(consumer["config"]["opt_start_seq"])
        return {}

    @contextlib.asynccontextmanager
    async def subscribed(self, take):
        self.take = take
        yield "subject"


def _looking(lowest=0):
    async def look():
        return Offsets(lowest, lowest)

    return look


async def test_message_after_the_last_follower_is_not_taken_for_a_later_one():
    """It was on its way; the next follower begins elsewhere, and reads no gap."""
    connection = _Connection()
    tail = Tail(connection, "log", lambda _next: None, look=_looking())
    with tail.followed(0):
        await asyncio.sleep(0)
        await connection.take(_message(0))
    await connection.take(_message(1))
    with tail.followed(10):
        await asyncio.sleep(0)
        await connection.take(_message(10))
        found = [[each.offset for each in tail.read(at, 9)] for at in (1, 2, 10, 11)]

    assert found == [[], [], [10], []]


async def test_tail_goes_on_behind_what_retention_has_taken():
    """A consumer gives no older records, and nobody waits for them in vain."""
    connection = _Connection()
    tail = Tail(connection, "log", lambda _next: None, look=_looking(50))
    with tail.followed(40):
        while not connection.starts:
            await asyncio.sleep(0)
        await connection.take(_message(50))
        found = [each.offset for each in tail.read(50, 9)]

    assert connection.starts == [51]
    assert found == [50]
