"""One connection to an upstream, without a socket: exchanges, and what lies between."""

import asyncio
from types import SimpleNamespace

import pytest

from service.proxy.failures import TimedOut, TornOff
from tests.support.upstream_connection import connected

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def begin(connection, *, seconds=5.0, watched=None, now=0.0) -> None:
    connection.begin(
        b"GET / HTTP/1.1\r\n\r\n",
        mute=False,
        switches=False,
        ends_at=now + 60.0,
        watched=watched,
    )
    connection.grant("head", seconds)


async def test_connection_that_was_laid_aside_is_not_late():
    """What the exchange before had for its answer does not end the wait for more."""
    connection = connected()
    begin(connection, watched=SimpleNamespace(gone=True))
    connection.data_received(OK)
    assert await connection.piece() == b"ok"
    assert connection.reusable

    connection.lay_aside()
    connection.check(asyncio.get_running_loop().time() + 1000)

    assert connection.usable


@pytest.mark.parametrize(
    ("field", "body"),
    [
        (b"content-length: 2 ", b"ok"),
        (b"content-length: 2\t \t", b"ok"),
        (b"transfer-encoding: chunked ", b"2\r\nok\r\n0\r\n\r\n"),
    ],
    ids=["length, space", "length, tabs", "chunks, space"],
)
async def test_blanks_behind_a_value_are_none_of_it(field, body):
    """RFC 9110 §5.5: they are no part of what framing and clients are told."""
    connection = connected()
    begin(connection)

    connection.data_received(b"HTTP/1.1 200 OK\r\n%b\r\nx:  a b \r\n\r\n" % field)
    connection.data_received(body)

    head = await connection.head()
    assert head.headers == [tuple(field.rstrip().split(b": ")), (b"x", b"a b")]
    assert await connection.piece() == b"ok"
    assert connection.reusable


async def test_answer_that_does_not_come_in_time_ends_the_exchange():
    """By the limit of the phase, which its name tells."""
    connection = connected()
    begin(connection)

    connection.check(asyncio.get_running_loop().time() + 6)

    with pytest.raises(TimedOut, match="head"):
        await connection.head()
    assert not connection.usable


async def test_end_before_any_byte_is_told_from_an_end_amid_the_answer():
    """Only the first may be the connection's fault alone."""
    torn, broken = connected(), connected()
    begin(torn)
    begin(broken)

    broken.data_received(OK[:20])
    for each in (torn, broken):
        each.connection_lost(None)
        with pytest.raises(TornOff):
            await each.head()

    assert (torn.torn, broken.torn) == (True, False)
