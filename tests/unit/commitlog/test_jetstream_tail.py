"""The tail of a stream where its messages come at odd moments."""

import asyncio
import contextlib
from typing import NamedTuple

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

    async def ask(self, *_arguments, **_options):
        return {}

    @contextlib.asynccontextmanager
    async def subscribed(self, take):
        self.take = take
        yield "subject"


async def _nothing():
    pass


async def test_message_after_the_last_follower_is_not_taken_for_a_later_one():
    """It was on its way; the next follower begins elsewhere, and reads no gap."""
    connection = _Connection()
    tail = Tail(connection, "log", lambda _next: None, look=_nothing)
    with tail.followed(0):
        await asyncio.sleep(0)
        await connection.take(_message(0))
    await connection.take(_message(1))
    with tail.followed(10):
        await asyncio.sleep(0)
        await connection.take(_message(10))
        found = [[each.offset for each in tail.read(at, 9)] for at in (1, 2, 10, 11)]

    assert found == [[], [], [10], []]
