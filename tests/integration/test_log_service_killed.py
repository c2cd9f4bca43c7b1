"""The service is killed while clients produce by gRPC: what it acknowledged stays."""

import asyncio
import contextlib
import os
import random
import signal

import grpc
import pytest

from tests.support.log_producers import check_order, produce
from tests.support.log_service import (
    PORT,
    channel,
    consume_all,
    serving_log,
    values_of,
)
from tests.support.process import LIMIT

PRODUCERS = 4
"""Half of them send one record after the other, half of them streams."""


async def produce_until_killed(directory, *, after=None, failpoint=0):
    """
    What was acknowledged, by offset, by a service that is killed: *after* so many
    acknowledgements, or at a failpoint, which may be before it is ready.
    """
    acknowledged = {}
    killed = serving_log(
        directory,
        module="tests.support.killed_service",
        environment={"FAILPOINT": str(failpoint)},
        policy__segment_bytes=65_536,
    )
    with contextlib.ExitStack() as stack:
        try:
            service = stack.enter_context(killed)
        except AssertionError as died:
            if failpoint and "ended with -9" in str(died):
                return acknowledged
            raise
        tasks = [
            asyncio.create_task(produce(service.ports[PORT], name, acknowledged))
            for name in range(PRODUCERS)
        ]
        if after is not None:
            while len(acknowledged) < after:
                await asyncio.sleep(0.001)
                assert not any(task.done() for task in tasks)
            service.signal(signal.SIGKILL)
        async with asyncio.timeout(LIMIT):
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert await asyncio.to_thread(service.await_exit) == -signal.SIGKILL
    assert all(isinstance(each, grpc.aio.AioRpcError) for each in ends), ends
    return acknowledged


async def kill_again_and_again(directory, *, kills, seed):
    """
    All that was acknowledged, after looking for it with a last service.

    Every other kill is around a write or a sync, the others at random moments.
    """
    rng, acknowledged = random.Random(seed), {}
    for kill in range(kills):
        if kill % 2:
            point = rng.randrange(1, 120) * rng.choice([1, -1])
            now = await produce_until_killed(directory, failpoint=point)
        else:
            now = await produce_until_killed(directory, after=rng.randrange(1, 400))
        assert not now.keys() & acknowledged.keys(), f"an offset twice, kill {kill}"
        check_order(now, producers=PRODUCERS)
        acknowledged |= now
    with serving_log(directory) as service:
        async with channel(service.ports[PORT]) as stub:
            stored = values_of(await consume_all(stub))
    lost = [each for each, value in acknowledged.items() if stored[each] != value]
    assert not lost
    return acknowledged


async def test_killed_service_keeps_what_it_acknowledged_by_grpc(tmp_path):
    """At random moments and around writes and syncs, on one log, four producers."""
    acknowledged = await kill_again_and_again(tmp_path / "log", kills=2, seed=1)

    assert len(acknowledged) > 2


@pytest.mark.soak
async def test_service_killed_often_keeps_what_it_acknowledged_by_grpc(tmp_path):
    """50 kills on one log, half of them at failpoints; KILLS changes how many."""
    kills = int(os.environ.get("KILLS", "50"))
    acknowledged = await kill_again_and_again(tmp_path / "log", kills=kills, seed=2)
    around = kills // 2
    told = f"{kills} kills, {around} around a write or sync, {PRODUCERS} producers"
    print(f"{told}, {len(acknowledged)} acknowledged, 0 lost")  # noqa: T201 - the figure
