"""The service is away for seconds, as while its pod restarts, and then for good."""

import asyncio
import itertools
import random
import signal
import time

import pytest

from service.commitlog import Record
from service.commitlog.errors import LogUnreachable, OutcomeUnknown
from service.log_client.client import LogClient
from tests.support.log_restarts import Restarted
from tests.support.process import LIMIT
from tests.support.programs import free_port

PRODUCERS = 40
"""More than the budget of retries has."""


class Traffic:
    """Producers, readers and a follower of one client, with its defaults."""

    def __init__(self, log):
        self.log = log
        self.acknowledged = {}
        self.in_doubt = set()
        self.followed = []
        self.ending = asyncio.Event()

    async def produce(self, name):
        for n in itertools.count():
            if self.ending.is_set():
                return
            value = b"%d %d" % (name, n)
            try:
                self.acknowledged[await self.log.produce([Record(value)])] = value
            except OutcomeUnknown:
                self.in_doubt.add(value)
            await asyncio.sleep(0.02)

    async def read(self):
        while not self.ending.is_set():
            await self.log.offsets()
            await asyncio.sleep(0.02)

    async def follow(self):
        async for batch in self.log.follow(0):
            self.followed += batch

    async def through(self):
        """Wait until each producer has got something acknowledged from now on."""
        before = set(self.acknowledged.values())
        async with asyncio.timeout(2 * LIMIT):
            while len(self._producers(before)) < PRODUCERS:
                await asyncio.sleep(0.05)

    def _producers(self, before):
        """Return who got more acknowledged than there was *before*."""
        new = set(self.acknowledged.values()) - before
        return {value.split()[0] for value in new}


async def with_gaps(restarted, traffic, *, gaps):
    """Kill the service again and again; each time nobody is there for a while."""
    async with asyncio.TaskGroup() as tasks:
        producing = [
            tasks.create_task(traffic.produce(name)) for name in range(PRODUCERS)
        ]
        tasks.create_task(traffic.read())
        following = tasks.create_task(traffic.follow())
        for number, seconds in gaps:
            await traffic.through()
            await restarted.end(number)
            await asyncio.sleep(seconds)
            await restarted.start()
        await traffic.through()
        traffic.ending.set()
        await asyncio.wait(producing)
        end = (await traffic.log.offsets()).next
        async with asyncio.timeout(LIMIT):
            while len(traffic.followed) < end:
                await asyncio.sleep(0.01)
        following.cancel()
    return [each.value async for batch in traffic.log.between(0) for each in batch]


def some_gaps(*, count, seed):
    rng = random.Random(seed)
    endings = itertools.cycle([signal.SIGKILL, signal.SIGTERM])
    return [(next(endings), rng.uniform(2, 6)) for _ in range(count)]


@pytest.mark.parametrize(
    "gaps",
    [
        pytest.param([(signal.SIGKILL, 2.5)], id="killed"),
        pytest.param(some_gaps(count=6, seed=1), id="six", marks=pytest.mark.soak),
        pytest.param([(signal.SIGKILL, 14)], id="long", marks=pytest.mark.soak),
    ],
)
async def test_clients_outlast_a_restart_with_their_defaults(tmp_path, gaps):
    """No call fails, but produces that nobody knows of; no gap, nothing twice."""
    async with Restarted(tmp_path / "log") as restarted:
        async with LogClient(restarted.address) as log:
            traffic = Traffic(log)
            stored = await with_gaps(restarted, traffic, gaps=gaps)

    assert all(stored[offset] == each for offset, each in traffic.acknowledged.items())
    assert len(set(stored)) == len(stored), "nothing is there twice"
    assert set(stored) <= {*traffic.acknowledged.values(), *traffic.in_doubt}
    assert len(traffic.in_doubt) <= PRODUCERS * len(gaps), "those under way, no more"
    assert [each.offset for each in traffic.followed] == list(range(len(stored)))
    assert [each.value for each in traffic.followed] == stored


async def test_stream_in_full_flow_goes_on_after_a_drain(tmp_path):
    """What was on its way is sent again: each record once, in order, none in doubt."""
    sent, ending = [], asyncio.Event()

    async def values():
        while not ending.is_set():
            sent.append(b"%d" % len(sent))
            yield [Record(sent[-1])]
            await asyncio.sleep(0)  # let the answers in

    async def produce(log):
        return sum([each.count async for each in log.produce_stream(values())])

    async with Restarted(tmp_path / "log") as restarted:
        async with LogClient(restarted.address) as log, asyncio.timeout(3 * LIMIT):
            producing = asyncio.create_task(produce(log))
            while len(sent) < 500:
                await asyncio.sleep(0.01)
            await restarted.end(signal.SIGTERM)
            before = len(sent)
            await restarted.start()
            while len(sent) < before + 500 and not producing.done():
                await asyncio.sleep(0.01)
            ending.set()
            count = await producing
            stored = [each.value async for some in log.between(0) for each in some]

    assert count == len(sent)
    assert stored == sent


async def test_service_that_stays_away_is_told_within_the_deadline():
    """With the reason, and that nothing is stored."""
    began = time.monotonic()
    async with LogClient(f"127.0.0.1:{free_port()}", deadline=2.0) as log:
        calls = [log.produce([Record(b"x")]) for _ in range(30)]
        ends = await asyncio.gather(*calls, log.offsets(), return_exceptions=True)

    assert all(isinstance(each, LogUnreachable) for each in ends)
    assert all("refused" in str(each) or "2 s" in str(each) for each in ends)
    assert 1.0 < time.monotonic() - began < LIMIT
