"""What a stream has sent, and what was acknowledged of it."""

import asyncio

import pytest

from service.commitlog import Record
from service.commitlog.errors import LogUnreachable, OutcomeUnknown
from service.commitlog.jetstream_message import MESSAGE_ID
from service.concurrency.cancelling import cancelled
from service.log_client.errors import CallFailed
from service.log_client.sending import Outgoing


async def source(*values):
    for value in values:
        yield [Record(value)]


def outgoing(*values, **others):
    return Outgoing(source(*values), window_bytes=100, identified=False, **others)


async def taken(sender, count, sent=None):
    sent = [] if sent is None else sent
    for _ in range(count):
        sent.append([each.value for each in await sender.take()])
    return sent


async def settled():
    for _ in range(20):
        await asyncio.sleep(0)


async def test_lost_stream_sends_again_what_was_not_acknowledged():
    """In its order, and then what is new."""
    sender = outgoing(b"a", b"b", b"c")
    await taken(sender, 2)
    sender.acknowledge()
    error = sender.lost("cut")
    sender.again()

    assert type(error) is OutcomeUnknown
    assert await taken(sender, 2) == [[b"b"], [b"c"]]
    assert await sender.take() is None


async def test_lost_stream_without_anything_under_way_is_no_doubt():
    """Nothing was sent that was not acknowledged."""
    sender = outgoing(b"a")
    await taken(sender, 1)
    sender.acknowledge()

    assert isinstance(sender.lost("cut"), LogUnreachable)
    assert not sender.in_doubt


async def test_doubt_stays_until_it_is_acknowledged():
    """However many streams are lost in between."""
    sender = outgoing(b"a", b"b")
    await taken(sender, 1)
    sender.lost("cut")
    sender.again()
    sender.lost("refused")

    assert sender.in_doubt
    await taken(sender, 1)
    sender.acknowledge()
    assert not sender.in_doubt


async def test_acknowledgement_of_what_was_not_sent_loses_nothing():
    """A server that says more than it was asked is not believed."""
    sender = outgoing(b"a", b"b")
    await taken(sender, 1)
    sender.acknowledge()

    with pytest.raises(CallFailed):
        sender.acknowledge()
    sender.again()
    assert await taken(sender, 1) == [[b"b"]]


@pytest.mark.parametrize("lost", [0, 1], ids=["at first", "again"])
async def test_large_batch_is_alone_on_its_way(lost):
    """gRPC may end the call for it, and would drop the answers to others."""
    values = (b"a", bytes(4_000_000), b"b")
    sender = Outgoing(source(*values), window_bytes=10_000_000, identified=False)
    for _ in range(lost):
        stream = asyncio.create_task(taken(sender, len(values)))
        await settled()
        await cancelled([stream])
        sender.again()
    counts = []
    stream = asyncio.create_task(taken(sender, len(values), sent := []))
    for _ in values:
        await settled()
        counts.append(len(sent))
        sender.acknowledge()

    assert counts == [1, 2, 3]
    assert await stream == [[each] for each in values]


async def test_failure_of_the_source_is_told_by_each_stream():
    """It does not look like an end after the stream was lost."""

    async def broken():
        yield [Record(b"a")]
        raise LookupError

    sender = Outgoing(broken(), window_bytes=100, identified=True)
    [record] = await sender.take()
    for _ in range(2):
        with pytest.raises(LookupError):
            await sender.take()

    assert not sender.is_done
    assert [header.name for header in record.headers] == [MESSAGE_ID]
