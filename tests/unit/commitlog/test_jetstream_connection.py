"""Requests to servers that answer slowly, in pieces, or not at all."""

import asyncio
from typing import NamedTuple

import pytest

from service.commitlog.jetstream_connection import Connection, NoAnswer
from service.commitlog.jetstream_options import JetStreamOptions

WITHIN = 0.2


class _Message(NamedTuple):
    """A message as the client of NATS gives it."""

    subject: str
    headers: dict[str, str]
    reply: str = ""
    data: bytes = b""


class _Client:
    """A client of a server that says one word after the other, *pause* apart."""

    is_closed = False

    def __init__(self, pause, words):
        self.pause, self.words = pause, words
        self.tasks = []

    async def publish(self, _subject, _payload, reply, _headers):
        self.tasks.append(asyncio.create_task(self._answer(reply)))

    async def _answer(self, subject):
        for headers in self.words:
            await asyncio.sleep(self.pause)
            await self.take(_Message(subject, headers))


@pytest.fixture
def connected():
    """Give a connection to a server that answers as it is told."""

    def to(pause, *words):
        connection = Connection(JetStreamOptions(servers=("nats://x",)))
        connection._client = client = _Client(pause, words)
        client.take = connection._on_message
        return connection

    return to


RECORD, END = {"Nats-Sequence": "1"}, {"Status": "204"}


async def test_slow_answer_in_pieces_is_awaited_as_long_as_it_comes(connected):
    """Whoever asked anew would never see its end."""
    connection = connected(WITHIN / 2, *[RECORD] * 5, END)

    assert len(await connection.request_many("x", {}, within=WITHIN)) == 5


@pytest.mark.parametrize("words", [[], [RECORD]], ids=["none", "without an end"])
async def test_server_that_falls_silent_gives_no_answer(connected, words):
    """However it began."""
    with pytest.raises(NoAnswer):
        await connected(0.0, *words).request_many("x", {}, within=WITHIN)
