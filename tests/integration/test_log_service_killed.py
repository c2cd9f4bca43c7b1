"""The service is killed while clients produce by gRPC: what it acknowledged stays."""

import asyncio
import contextlib
import os
import random
import signal

import grpc
import pytest

from service.log_api.v1 import log_pb2
from tests.support.log_service import (
    PORT,
    channel,
    consume_all,
    record,
    serving_log,
    values_of,
)

PRODUCERS = 4
"""Half of them send one record after the other, half of them streams."""


async def produce_unary(stub, name, acknowledged):
    for n in range(1_000_000):
        value = b"%d %08d" % (name, n)
        answer = await stub.Produce(log_pb2.ProduceRequest(records=[record(value)]))
        acknowledged[answer.offset] = value


async def produce_stream(stub, name, acknowledged):
    sent = []

    async def requests():
        for n in range(1_000_000):
            sent.append(b"%d %08d" % (name, n))
            yield log_pb2.ProduceStreamRequest(records=[record(sent[-1])])
            await asyncio.sleep(0)  # let the answers in

    count = 0
    async for answer in stub.ProduceStream(requests()):
        acknowledged[answer.offset] = sent[count]
        count += 1


async def produce_until_killed(directory, *, after):
    """What was acknowledged, by offset, by a service that is killed after a while."""
    acknowledged = {}
    with serving_log(directory, policy__segment_bytes=65_536) as service:
        async with contextlib.AsyncExitStack() as stack:
            tasks = []
            for name in range(PRODUCERS):
                client = channel(service.ports[PORT])
                stub = await stack.enter_async_context(client)
                produce = produce_stream if name % 2 else produce_unary
                tasks.append(asyncio.create_task(produce(stub, name, acknowledged)))
            while len(acknowledged) < after:
                await asyncio.sleep(0.001)
                assert not any(task.done() for task in tasks)
            service.signal(signal.SIGKILL)
            ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(each, grpc.aio.AioRpcError) for each in ends), ends
    return acknowledged


async def kill_again_and_again(directory, *, kills, seed):
    """All that was acknowledged, after looking for it with a last service."""
    rng, acknowledged = random.Random(seed), {}
    for _ in range(kills):
        now = await produce_until_killed(directory, after=rng.randrange(1, 600))
        assert not now.keys() & acknowledged.keys(), "an offset twice"
        check_order(now)
        acknowledged |= now
    with serving_log(directory) as service:
        async with channel(service.ports[PORT]) as stub:
            stored = values_of(await consume_all(stub))
    lost = [each for each, value in acknowledged.items() if stored[each] != value]
    assert not lost
    return acknowledged


def check_order(acknowledged):
    for name in range(PRODUCERS):
        begin = b"%d " % name
        mine = [v for _, v in sorted(acknowledged.items()) if v.startswith(begin)]
        assert mine == sorted(mine)


async def test_killed_service_keeps_what_it_acknowledged_by_grpc(tmp_path):
    """Three kills on one log, four producers."""
    acknowledged = await kill_again_and_again(tmp_path / "log", kills=3, seed=1)

    assert len(acknowledged) > 3


@pytest.mark.soak
async def test_service_killed_often_keeps_what_it_acknowledged_by_grpc(tmp_path):
    """50 kills on one log; KILLS changes how many."""
    kills = int(os.environ.get("KILLS", "50"))
    acknowledged = await kill_again_and_again(tmp_path / "log", kills=kills, seed=2)
    print(f"{kills} kills, {len(acknowledged)} acknowledged, 0 lost")  # noqa: T201 - the figure
