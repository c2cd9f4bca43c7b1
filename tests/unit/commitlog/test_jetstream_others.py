"""A log in JetStream beside other processes, and other clients, of its stream."""

import asyncio
import contextlib

import nats
import pytest

from service.commitlog import Record


async def test_other_processes_appends_are_seen(opened):
    """By followers and `fresh_offsets` at once, and by `offsets` soon, unread."""
    log, other = await opened(), await opened()
    for number in range(5):
        await other.append([Record(b"before")])
        assert await log.fresh_offsets() == (0, number + 1)
    batches = log.follow(5)
    waiting = asyncio.create_task(anext(batches))
    await other.append([Record(b"0")])

    assert [r.value for r in await asyncio.wait_for(waiting, 30)] == [b"0"]
    await batches.aclose()
    await other.append([Record(b"1")])
    async with asyncio.timeout(30):
        while log.offsets().next < 7:
            await asyncio.sleep(0.05)


async def test_what_one_reader_learns_the_followers_hear(opened, monkeypatch):
    """Though the server sends them nothing: its consumer may be lost or lag behind."""
    log, other = await opened(), await opened()
    monkeypatch.setattr(log._tail, "followed", lambda _next: contextlib.nullcontext())
    async with contextlib.aclosing(log.follow(0)) as batches:
        waiting = asyncio.ensure_future(anext(batches))
        await asyncio.sleep(0)
        await other.append([Record(b"0")])
        await log.fresh_offsets()

        async with asyncio.timeout(30):
            assert [record.value for record in await waiting] == [b"0"]


async def test_messages_of_other_clients_are_records(opened, server):
    """A publisher that knows nothing of this log."""
    log = await opened()
    subject = log._options.subject
    client = await nats.connect(server.url)
    await client.jetstream().publish(subject, b"plain")
    await client.jetstream().publish(subject, b"", headers={"Some": "header"})
    await client.close()
    found = await log.read(0)

    assert [r[:3] for r in found] == [(b"plain", None, ()), (b"", None, ())]


@pytest.mark.parametrize(
    ("headers", "key", "pairs"),
    [
        ({"Status": "503"}, None, ()),
        ({"Nats-Sequence": "7", "Nats-Time-Stamp": "never"}, None, ()),
        ({"Log-Headers": "ü=ж&&%zz=+&a"}, None, (("ü", "ж".encode()), ("%zz", b" "))),
        ({"Log-Key": "ж%"}, "ж%".encode(), ()),
    ],
    ids=["status", "of a direct get", "headers", "key"],
)
@pytest.mark.parametrize("followed", [True, False], ids=["followed", "read"])
async def test_odd_headers_of_other_clients_stop_nobody(
    opened, server, headers, key, pairs, followed
):
    """Whatever they look like, the record is one, and those behind it are read."""
    log = await opened(timeout=1.0)
    batches = log.follow(0)
    waiting = asyncio.create_task(anext(batches)) if followed else None
    client = await nats.connect(server.url)
    await client.jetstream().publish(log._options.subject, b"odd", headers=headers)
    await client.close()
    await log.append([Record(b"next")])
    found = [*(await waiting)] if waiting else []
    while len(found) < 2:
        found += await log.read(len(found))
    await batches.aclose()

    assert found[0][:2] == (b"odd", key)
    assert found[0].headers[:2] == pairs
    assert [record[0] for record in found] == [b"odd", b"next"]
