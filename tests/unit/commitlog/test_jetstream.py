"""The log in JetStream where it differs: ids, lost answers, limits, other writers."""

import asyncio
import contextlib
import time
import uuid

import nats
import pytest

from service.commitlog import Policy, Record
from service.commitlog.errors import (
    CommitLogError,
    LogClosed,
    LogDamaged,
    LogFull,
    LogUnreachable,
    OffsetOutOfRange,
    OutcomeUnknown,
    RecordTooLarge,
)
from service.commitlog.jetstream import open_jetstream
from service.commitlog.jetstream_options import JetStreamOptions
from tests.support.forwarder import forwarder
from tests.support.nats import nats_server

NAME = "Nats-Msg-Id"


class _Deletable(JetStreamOptions):
    def stream_config(self):
        return {**super().stream_config(), "deny_delete": False}


def _named(value, identity):
    return Record(value, None, ((NAME, identity),))


async def test_record_with_an_id_is_stored_once(opened):
    """The second append gets the offset of the first; another process's, too."""
    log, other = await opened(), await opened()
    first = await log.append([_named(b"once", b"a")])
    again = [await log.append([_named(b"once", b"a")]) for log in (log, other)]

    assert (first, again) == (0, [0, 0])
    assert [r.value for r in await other.read(0)] == [b"once"]


async def test_batch_with_an_id_is_stored_once(opened):
    """Its first record's id tells for all of it."""
    log = await opened()
    batch = [_named(b"1", b"a"), Record(b"2"), Record(b"3")]

    assert [await log.append(batch) for _ in range(3)] == [0, 0, 0]
    assert (await log.append([Record(b"4")])) == 3


@pytest.mark.parametrize(
    "batch",
    [
        [_named(b"1", b"a"), _named(b"other", b"x")],
        [Record(b"new"), _named(b"1", b"a")],
        [_named(b"new", b"b"), _named(b"twice", b"b")],
    ],
    ids=["first", "last", "twice in the batch"],
)
async def test_batch_that_is_stored_in_part_is_refused(opened, batch):
    """It can't have one offset; nothing is stored."""
    log = await opened()
    await log.append([_named(b"1", b"a"), _named(b"2", b"c")])
    with pytest.raises(ValueError, match="a part of the batch"):
        await log.append(batch)

    assert (await log.append([Record(b"next")])) == 2


@pytest.mark.parametrize("identity", [b"", b"two words", b"x" * 256, b"\xff"])
async def test_id_that_cant_be_sent_is_refused(opened, identity):
    """A client's mistake, told as one."""
    log = await opened()
    with pytest.raises(ValueError, match=NAME):
        await log.append([_named(b"", identity)])


@pytest.mark.parametrize(
    "records",
    [
        [Record(bytes(3 * 1024 * 1024))],
        [Record(b"", None, (("name", b"\xff" * 30_000),))],
        [Record(b"")] * 1001,
    ],
    ids=["payload", "headers", "batch"],
)
async def test_what_the_servers_dont_take_is_refused(opened, records):
    """Before it is sent; nothing is stored."""
    policy = Policy(max_record_bytes=10**7, max_batch_bytes=10**8)
    log = await opened(policy=policy)
    with pytest.raises(RecordTooLarge):
        await log.append(records)

    assert await log.append([Record(b"next")]) == 0


async def test_largest_batch_is_stored_whole(opened):
    """1,000 records have offsets without gap while others append."""
    log = await opened()
    records = [Record(b"%d" % number) for number in range(1000)]
    first, *others = await asyncio.gather(
        log.append(records), *(log.append([Record(b"x")]) for _ in range(50))
    )
    found = await log.read(first, max_records=1000)

    assert [r.value for r in found] == [r.value for r in records]
    assert len({first, *others}) == 51


async def test_append_without_an_answer_is_unknown_and_stored_once(tmp_path):
    """The server hangs: the error says so, and the same id finds what was stored."""
    with nats_server(tmp_path) as server:
        options = JetStreamOptions(servers=(server.url,), replicas=1, timeout=1.5)
        log = await open_jetstream(options)
        server.pause()
        appends = [[_named(b"1", b"a")], [_named(b"2", b"b"), Record(b"3")]]
        for records in appends:
            with pytest.raises(OutcomeUnknown):
                await log.append(records)
        server.resume()
        offsets = [await _appended(log, records) for records in appends]
        found = await log.read(0)
        await log.close()

    assert offsets == [0, 1]
    assert [record.value for record in found] == [b"1", b"2", b"3"]


async def _appended(log, records):
    """Append under the same id until the server, which was held up, has answered."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(OutcomeUnknown):
                return await log.append(records)


async def test_append_goes_on_when_the_server_it_was_sent_to_hangs(server):
    """Its connection stands, and nothing comes: it is sent again to another server."""
    host, port = server.url.removeprefix("nats://").split(":")
    with (
        forwarder(host, int(port)) as one,
        forwarder(host, int(port)) as other,
    ):
        options = JetStreamOptions(
            servers=tuple(f"nats://127.0.0.1:{each.port}" for each in (one, other)),
            stream=uuid.uuid4().hex,
            replicas=1,
            ping_interval=0.2,
        )
        log = await open_jetstream(options)
        first = await log.append([Record(b"0")])
        (one if one.passed else other).blocked.set()
        began = time.monotonic()
        second = await log.append([Record(b"1"), Record(b"2")])
        took = time.monotonic() - began
        found = await log.read(0)
        await log.close()

    assert (first, second) == (0, 1)
    assert [record.value for record in found] == [b"0", b"1", b"2"]
    assert took < options.timeout / 2


async def test_restarted_server_is_found_again(tmp_path):
    """An append that waits for it is stored once; a follower goes on where it was."""
    with nats_server(tmp_path) as server:
        options = JetStreamOptions(servers=(server.url,), replicas=1)
        log = await open_jetstream(options)
        seen = []

        async def follow():
            async with contextlib.aclosing(log.follow(0)) as batches:
                async for batch in batches:
                    seen.extend(record.value for record in batch)
                    if len(seen) == 3:
                        return

        follower = asyncio.create_task(follow())
        await log.append([Record(b"0")])
        server.kill()
        waiting = asyncio.create_task(log.append([Record(b"1"), Record(b"2")]))
        await asyncio.sleep(0)
        server.start()

        assert await waiting == 1
        await asyncio.wait_for(follower, 60)
        await log.close()
    assert seen == [b"0", b"1", b"2"]


async def test_unreachable_servers_are_told(tmp_path):
    """Opening fails in time; so do reads of a log whose servers are gone."""
    with nats_server(tmp_path) as server:
        options = JetStreamOptions(servers=(server.url,), replicas=1, timeout=1.5)
        log = await open_jetstream(options)
        await log.append([Record(b"0")])
        server.stop()
        with pytest.raises(LogUnreachable):
            await log.read(0)
        async with asyncio.timeout(30):
            while not log.unreachable:
                await asyncio.sleep(0.05)
        with pytest.raises(LogUnreachable):
            await open_jetstream(options)
        await log.close()


async def test_connection_that_was_given_up_is_made_anew(opened):
    """The client ends for good at some errors of a server; the log does not."""
    log = await opened()
    await log._connection._client.close()

    assert await log.append([Record(b"0")]) == 0
    assert [record.value for record in await log.read(0)] == [b"0"]


async def test_retention_raises_the_lowest_offset(opened):
    """What it took is out of range, for readers and followers; the rest stays."""
    log = await opened(policy=Policy(retention_bytes=20_000))
    for number in range(100):
        await log.append([Record(b"%d" % number * 500)])
    with pytest.raises(OffsetOutOfRange) as caught:
        await log.read(0)
    with pytest.raises(OffsetOutOfRange):
        await anext(log.follow(0))
    lowest = caught.value.lowest

    assert 50 < lowest < 100
    assert log.offsets() == (lowest, 100)
    assert (await log.read(lowest))[0].offset == lowest
    assert await log.offset_at(0) == lowest


async def test_time_that_no_replica_finds_yet_is_asked_for_again(opened):
    """Replicas may lag behind the leader for a while; then it is told."""
    log = await opened(timeout=0.5)
    await log.append([Record(b"0")])
    of_server, answers = log._stream.get_at, [None, None]

    async def lagging(timestamp):
        return answers.pop() if answers else await of_server(timestamp)

    log._stream.get_at = lagging
    found = await log.offset_at(0)
    answers += [None] * 1000
    with pytest.raises(LogUnreachable, match="lag behind"):
        await log.offset_at(0)

    assert found == 0
    assert len(answers) > 900, "it is no busy loop"


async def test_changed_options_change_the_stream(opened):
    """Retention is the setting of the newest process."""
    log = await opened()
    await log.append([Record(bytes(1000))] * 100)
    smaller = await opened(policy=Policy(retention_bytes=10_000))

    assert smaller.offsets().lowest > 80


async def test_full_store_is_told_and_stores_nothing(tmp_path):
    """The servers' limit is the disk's end; what was acknowledged stays."""
    with nats_server(tmp_path, most="2MB") as server:
        options = JetStreamOptions(servers=(server.url,), replicas=1, timeout=2.0)
        log = await open_jetstream(options)
        stored = 0

        async def fill():
            nonlocal stored
            while stored < 100:
                await log.append([Record(bytes(100_000))])
                stored += 1

        with pytest.raises(LogFull):
            await fill()
        first = await log.read(0, max_bytes=1)
        next_offset = (await log._stream.refresh()).next
        await log.close()

    assert 10 < next_offset == stored < 30
    assert first[0].value == bytes(100_000)


async def test_follower_whose_consumer_is_lost_misses_nothing(opened, server):
    """Another consumer begins where it was."""
    log = await opened()
    batches = log.follow(0)
    await log.append([Record(b"0")])
    assert (await anext(batches))[0].value == b"0"
    waiting = asyncio.create_task(anext(batches))
    manager = (client := await nats.connect(server.url)).jsm()
    async with asyncio.timeout(30):
        while not (found := await manager.consumers_info(log._options.stream)):
            await asyncio.sleep(0.05)
    await manager.delete_consumer(log._options.stream, found[0].name)
    # from elsewhere, so that only a consumer can tell of it
    await client.jetstream().publish(log._options.subject, b"1")

    assert [r.value for r in await asyncio.wait_for(waiting, 30)] == [b"1"]
    await batches.aclose()
    await client.close()


async def test_stream_made_anew_is_a_damaged_log(opened, server):
    """Its offsets would mean other records."""
    log = await opened()
    await log.append([Record(b"0"), Record(b"1")])
    client = await nats.connect(server.url)
    await client.jsm().delete_stream(log._options.stream)
    await opened()
    await client.close()
    with pytest.raises(LogDamaged, match="made anew"):
        await log.read(2)
    async with asyncio.timeout(30):
        while log.refused is None:
            await asyncio.sleep(0.05)
    with pytest.raises(LogDamaged, match="made anew"):
        await log.append([Record(b"2")])


@pytest.mark.parametrize("anew", [True, False], ids=["made anew", "deleted"])
async def test_follower_of_a_stream_that_is_gone_is_told(opened, server, anew):
    """It gets no record of another stream, and doesn't wait for ever; readers too."""
    log = await opened()
    await log.append([Record(b"0"), Record(b"1")])
    batches = log.follow(0)
    await anext(batches)
    waiting = asyncio.create_task(anext(batches))
    client = await nats.connect(server.url)
    async with asyncio.timeout(30):
        while not await client.jsm().consumers_info(log._options.stream):
            await asyncio.sleep(0.05)
    await client.jsm().delete_stream(log._options.stream)
    await client.close()
    if anew:
        other = await opened()
        await other.append([Record(b"other")] * 5)

    with pytest.raises(LogDamaged, match=log._options.stream):
        await asyncio.wait_for(waiting, 30)
    with pytest.raises(LogDamaged):
        await log.read(0)
    with pytest.raises(LogDamaged):
        await log.offset_at(0)
    assert log.refused is not None


async def test_record_that_is_gone_is_damage_and_never_skipped(opened, server):
    """A hole is told; no later record is given in its place."""
    options = _Deletable(
        servers=(server.url,), stream=uuid.uuid4().hex, replicas=1, timeout=1.5
    )
    log = await open_jetstream(options)
    await log.append([Record(b"%d" % number) for number in range(5)])
    client = await nats.connect(server.url)
    await client.jsm().delete_msg(options.stream, 3)
    await client.close()

    assert [r.value for r in await log.read(0)] == [b"0", b"1"]
    with pytest.raises(LogDamaged, match="missing"):
        await log.read(2)
    assert [r.value for r in await log.read(3)] == [b"3", b"4"]
    await log.close()


async def test_stream_takes_no_deletions(opened, server):
    """Nobody makes holes by accident."""
    log = await opened()
    await log.append([Record(b"0"), Record(b"1")])
    client = await nats.connect(server.url)
    with pytest.raises(nats.js.errors.APIError):
        await client.jsm().delete_msg(log._options.stream, 1)
    with pytest.raises(nats.js.errors.APIError):
        await client.jsm().purge_stream(log._options.stream)
    await client.close()

    assert len(await log.read(0)) == 2


async def test_close_waits_for_the_appends_on_their_way(opened):
    """They are acknowledged; a later one is refused."""
    log = await opened()
    appends = [asyncio.create_task(log.append([Record(b"x")])) for _ in range(20)]
    await asyncio.sleep(0)
    await log.close()

    assert sorted(await asyncio.gather(*appends)) == list(range(20))
    with pytest.raises(LogClosed):
        await log.append([Record(b"late")])


async def test_servers_without_what_it_needs_are_refused(opened):
    """More replicas than servers: told at the start, in words."""
    with pytest.raises(CommitLogError, match="replicas"):
        await opened(replicas=3)


@pytest.mark.parametrize(
    "wrong",
    [{"servers": ()}, {"stream": "a.b"}, {"timeout": 0}, {"duplicate_window": 1}],
    ids=str,
)
def test_options_that_cant_be_are_refused(wrong):
    """Before anything is connected."""
    with pytest.raises(ValueError, match=r"servers|name|duplicate_window"):
        JetStreamOptions(**{"servers": ("nats://127.0.0.1:1",), **wrong})
