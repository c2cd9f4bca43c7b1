"""Producers of the log service that go on until it refuses or dies."""

import asyncio

from service.log_api.v1 import log_pb2
from tests.support.log_service import channel, record

__all__ = ["check_order", "produce", "produce_stream", "produce_unary"]

Acknowledged = dict[int, bytes]
"""Values by the offset that the service gave them."""


async def produce_unary(stub, name: int, acknowledged: Acknowledged) -> None:
    """Send one record after the other."""
    for n in range(1_000_000):
        value = _value(name, n)
        answer = await stub.Produce(log_pb2.ProduceRequest(records=[record(value)]))
        acknowledged[answer.offset] = value


async def produce_stream(stub, name: int, acknowledged: Acknowledged) -> None:
    """Send a stream, ahead of its answers."""
    sent = []

    async def requests():
        for n in range(1_000_000):
            sent.append(_value(name, n))
            yield log_pb2.ProduceStreamRequest(records=[record(sent[-1])])
            await asyncio.sleep(0)  # let the answers in

    count = 0
    async for answer in stub.ProduceStream(requests()):
        acknowledged[answer.offset] = sent[count]
        count += 1


async def produce(port: int, name: int, acknowledged: Acknowledged) -> None:
    """Send streams if *name* is odd, else one record after the other, until it ends."""
    async with channel(port) as stub:
        send = produce_stream if name % 2 else produce_unary
        await send(stub, name, acknowledged)


def check_order(acknowledged: Acknowledged, *, producers: int) -> None:
    """Fail unless the records of each producer are in its order."""
    for name in range(producers):
        begin = b"%d " % name
        mine = [v for _, v in sorted(acknowledged.items()) if v.startswith(begin)]
        assert mine == sorted(mine)


def _value(name: int, number: int) -> bytes:
    return b"%d %08d" % (name, number)
