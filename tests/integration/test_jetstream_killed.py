"""One of three NATS servers is killed while records come: none acknowledged is lost."""

import asyncio
import contextlib
import random
import time

import pytest

from service.commitlog import Record
from service.commitlog.errors import LogUnreachable, OutcomeUnknown
from service.commitlog.jetstream import open_jetstream
from service.commitlog.jetstream_options import JetStreamOptions
from tests.support.nats import nats_cluster

PRODUCERS = 4
LIMIT = 60.0
"""Seconds that anything may take before a test gives up."""


class _Load:
    """Producers and followers, each half on a connection of its own; what they saw."""

    def __init__(self):
        self.acknowledged, self.seen = {}, ([], [])
        self.unknown = self.refused = 0
        self.longest = 0.0
        self.stopping = False

    async def produce(self, log, producer):
        number = 0
        rng = random.Random(producer)
        while not self.stopping:
            size = rng.choice((1, 1, 1, 5))
            values = [b"%d %08d" % (producer, number + i) for i in range(size)]
            number += size
            begin = time.monotonic()
            try:
                first = await log.append([Record(value) for value in values])
            except OutcomeUnknown:
                self.unknown += size
            except LogUnreachable:
                self.refused += size
            else:
                self.acknowledged |= {first + i: v for i, v in enumerate(values)}
            self.longest = max(self.longest, time.monotonic() - begin)

    async def follow(self, log, seen):
        while True:
            # told that nobody has led for longer than its time-out, it goes on there
            with contextlib.suppress(LogUnreachable):
                async with contextlib.aclosing(log.follow(len(seen))) as batches:
                    async for batch in batches:
                        seen.extend(batch)

    async def await_more(self, records):
        """Wait until so many more are acknowledged."""
        wanted, end = len(self.acknowledged) + records, time.monotonic() + LIMIT
        while len(self.acknowledged) < wanted:
            assert time.monotonic() < end, "no more acknowledgements come"
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def _loaded(servers):
    """Run producers and followers; at the end, check what they were told."""
    options = JetStreamOptions(servers=tuple(server.url for server in servers))
    logs = [await open_jetstream(options) for _ in range(2)]
    load = _Load()
    followers = [
        asyncio.create_task(load.follow(log, seen))
        for log, seen in zip(logs, load.seen, strict=True)
    ]
    producers = [
        asyncio.create_task(load.produce(logs[number % 2], number))
        for number in range(PRODUCERS)
    ]
    try:
        yield load
        load.stopping = True
        await asyncio.gather(*producers)
        await _check(load, logs[0], followers)
    finally:
        for task in producers + followers:
            task.cancel()
        await asyncio.gather(*producers, *followers, return_exceptions=True)
        for log in logs:
            await log.close()


async def _check(load, log, followers):
    records, offset = [], 0
    while batch := await log.read(offset, max_records=1000):
        records += batch
        offset += len(batch)
    values = [record.value for record in records]

    assert [record.offset for record in records] == list(range(len(records)))
    lost = [o for o, value in load.acknowledged.items() if values[o] != value]
    assert not lost
    assert len(set(values)) == len(values), "a record was stored twice"
    for producer in range(PRODUCERS):
        told = sorted(o for o, v in load.acknowledged.items() if v[0] == 48 + producer)
        mine = [load.acknowledged[offset] for offset in told]
        assert mine == sorted(mine)
    end = time.monotonic() + LIMIT
    for seen, follower in zip(load.seen, followers, strict=True):
        while len(seen) < len(records):
            if follower.done():
                await follower  # it tells why
            assert time.monotonic() < end, "a follower stands still"
            await asyncio.sleep(0.02)
        assert seen == records


async def _kill(servers, load, *, leader):
    """Kill one, wait for acknowledgements without it, and return it."""
    while (name := servers[0].leader_of("log")) is None:
        await asyncio.sleep(0.1)
    victim = random.choice([s for s in servers if (s.name == name) is leader])
    await load.await_more(200)
    victim.kill()
    await load.await_more(200)
    return victim


async def test_killed_leader_loses_no_acknowledged_record(tmp_path):
    """Four producers and two followers go on with the two servers that are left."""
    with nats_cluster(tmp_path) as servers:
        async with _loaded(servers) as load:
            await _kill(servers, load, leader=True)

    assert len(load.acknowledged) > 400


@pytest.mark.soak
async def test_servers_that_are_too_few_acknowledge_nothing(tmp_path):
    """With two of three lost appends fail in time; with one back all goes on."""
    with nats_cluster(tmp_path) as servers:
        urls = tuple(server.url for server in servers)
        log = await open_jetstream(JetStreamOptions(servers=urls, timeout=8.0))
        for number in range(100):
            await log.append([Record(b"%d" % number)])
        for server in servers[:2]:
            server.kill()
        with pytest.raises((LogUnreachable, OutcomeUnknown)):
            await log.append([Record(b"in doubt")])
        servers[0].start()
        end = time.monotonic() + LIMIT
        while True:
            assert time.monotonic() < end, "it does not go on"
            with contextlib.suppress(LogUnreachable, OutcomeUnknown):
                last = await log.append([Record(b"after")])
                break
        values = [r.value for r in await log.read(0, max_records=200)]
        await log.close()

    assert values[:100] == [b"%d" % number for number in range(100)]
    assert values[last] == b"after"


@pytest.mark.soak
async def test_servers_killed_again_and_again_lose_no_acknowledged_record(tmp_path):
    """30 kills, most of them of the leader, each once the last one is back."""
    with nats_cluster(tmp_path) as servers:
        async with _loaded(servers) as load:
            for kill in range(30):
                victim = await _kill(servers, load, leader=kill % 3 != 2)
                victim.start()
                await asyncio.to_thread(victim.await_ready)
    print(  # noqa: T201 - the figures
        f"30 kills, {len(load.acknowledged)} acknowledged, 0 lost,"
        f" {load.unknown} of unknown outcome, {load.refused} refused,"
        f" longest append {load.longest:.1f} s"
    )
