"""What every commit log does: memory, segment log, JetStream, the same cases."""

import asyncio
import contextlib
import uuid

import pytest

from service.commitlog import MemoryLog, Policy, Record, SegmentLog
from service.commitlog.errors import LogClosed, OffsetOutOfRange, RecordTooLarge
from service.commitlog.jetstream import open_jetstream
from service.commitlog.jetstream_options import JetStreamOptions
from tests.support.nats import nats_cluster

POLICY = Policy(max_record_bytes=4096, max_batch_bytes=8192, segment_bytes=2048)


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with nats_cluster(tmp_path_factory.mktemp("nats")) as servers:
        yield tuple(server.url for server in servers)


async def _jetstream(servers):
    stream = uuid.uuid4().hex
    return await open_jetstream(
        JetStreamOptions(servers=servers, stream=stream, policy=POLICY)
    )


@pytest.fixture(params=["memory", "segments", "jetstream"])
async def log(request, tmp_path):
    clock = iter(range(1, 1_000_000)).__next__
    if request.param == "memory":
        made = MemoryLog(POLICY, clock=clock)
    elif request.param == "jetstream":
        made = await _jetstream(request.getfixturevalue("servers"))
    else:
        made = await SegmentLog.open(tmp_path / "log", POLICY, clock=clock)
    yield made
    await made.close()


async def _all(log):
    records, offset = [], log.offsets().lowest
    while offset < log.offsets().next:
        records += await log.read(offset, max_records=7)
        offset = records[-1].offset + 1
    return records


async def test_new_log_is_empty(log):
    """Nothing is there, and reading at the end gives nothing."""
    assert log.offsets() == await log.fresh_offsets() == (0, 0)
    assert list(await log.read(0)) == []
    assert await log.offset_at(0) == 0


async def test_record_comes_back_whole(log):
    """Value, key and headers are what they were; an empty key is not none."""
    sent = [
        Record(b"", None, ()),
        Record(b"v\x00" * 100, b"", (("a", b"1"), ("a", b""), ("ü", b"\xff"))),
    ]
    first = await log.append(sent)
    found = await log.read(first)

    assert [(r.value, r.key, r.headers) for r in found] == [r[:3] for r in sent]
    assert [r.offset for r in found] == [0, 1]


async def test_many_producers_get_contiguous_offsets_in_their_own_order(log):
    """64 tasks: every offset once, each task's records in its order."""
    taken = {}

    async def produce(name):
        for number in range(20):
            batch = [Record(b"%d %d %d" % (name, number, i)) for i in range(2)]
            taken[name, number] = await log.append(batch)

    await asyncio.gather(*map(produce, range(64)))
    records = await _all(log)

    assert [r.offset for r in records] == list(range(64 * 20 * 2))
    for (name, number), first in taken.items():
        assert records[first].value == b"%d %d 0" % (name, number)
        assert records[first + 1].value == b"%d %d 1" % (name, number)
        assert number == 0 or taken[name, number - 1] < first


@pytest.mark.parametrize("offset", [-1, 3, 99])
async def test_offset_without_a_record_is_refused(log, offset):
    """The error tells which offsets there are."""
    await log.append([Record(b"a"), Record(b"b")])
    with pytest.raises(OffsetOutOfRange) as caught:
        await log.read(offset)

    assert (caught.value.lowest, caught.value.next_offset) == (0, 2)


async def test_limits_of_a_batch_hold_but_for_the_first_record(log):
    """At least one record comes, then no more than asked for."""
    await log.append([Record(bytes(1000)) for _ in range(4)])

    assert len(await log.read(0, max_bytes=1)) == 1
    assert len(await log.read(0, max_bytes=2200)) == 2
    assert len(await log.read(0, max_records=3)) == 3


@pytest.mark.parametrize(
    "records", [[Record(bytes(4096))], [Record(bytes(3000))] * 3], ids=["one", "all"]
)
async def test_too_large_append_stores_nothing(log, records):
    """RecordTooLarge, and the log is as before."""
    with pytest.raises(RecordTooLarge):
        await log.append(records)

    assert log.offsets().next == 0


async def test_append_of_nothing_is_refused(log):
    """An offset could not be told."""
    with pytest.raises(ValueError, match="no records"):
        await log.append([])


async def test_follower_waits_at_the_end_and_gets_every_record_once(log):
    """What was there comes first, then what is appended while it waits."""
    await log.append([Record(b"0")])
    seen = []

    async def follow():
        async with contextlib.aclosing(log.follow(0, max_records=2)) as batches:
            async for batch in batches:
                seen.extend(record.value for record in batch)
                if len(seen) == 10:
                    return

    follower = asyncio.create_task(follow())
    for number in range(1, 10):
        await asyncio.sleep(0)
        await log.append([Record(b"%d" % number)])
    await asyncio.wait_for(follower, 30)

    assert seen == [b"%d" % number for number in range(10)]


async def test_follower_of_a_closed_log_ends(log):
    """It hears LogClosed, and so does every later call."""
    batches = log.follow(0)
    waiting = asyncio.create_task(anext(batches))
    await asyncio.sleep(0)
    await log.close()

    with pytest.raises(LogClosed):
        await asyncio.wait_for(waiting, 30)
    with pytest.raises(LogClosed):
        await log.append([Record(b"late")])
    with pytest.raises(LogClosed):
        await log.read(0)
    with pytest.raises(LogClosed):
        await log.fresh_offsets()


async def test_time_leads_to_the_first_record_not_before_it(log):
    """As a scan of all records says, for every time there is, those around, and any."""
    for number in range(60):
        await log.append([Record(b"%d" % number * 20)])
    records = await _all(log)
    stamps = [record.timestamp for record in records]

    assert stamps == sorted(stamps)
    ends = (-(2**63), -1, 0, 2**63 - 1)
    for moment in {*ends, *stamps, *(s + 1 for s in stamps)}:
        expected = next((r.offset for r in records if r.timestamp >= moment), 60)
        assert await log.offset_at(moment) == expected


async def test_cancelled_append_leaves_the_log_working(log):
    """The record is there or not; the next one is."""
    task = asyncio.create_task(log.append([Record(b"cancelled")]))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    offset = await log.append([Record(b"after")])

    assert (await log.read(offset))[0].value == b"after"
