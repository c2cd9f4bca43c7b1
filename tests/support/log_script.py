"""A log service that does what each test wants, wrong things too, and its client."""

import asyncio
import contextlib

import grpc

from service.commitlog import Record
from service.discovery.model import Endpoint
from service.log_api.errors import status_of
from service.log_api.v1 import log_pb2, log_pb2_grpc
from service.log_client.client import LogClient

__all__ = [
    "LIMIT",
    "ONE",
    "UNAVAILABLE",
    "Scripted",
    "acknowledge",
    "acknowledges",
    "acknowledges_all",
    "cut",
    "end",
    "gives",
    "hang",
    "know",
    "refused",
    "served",
    "source",
]

LIMIT = 20.0
"""Seconds that a test may take with its server."""

ONE = [Record(b"x")]
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


class Scripted(log_pb2_grpc.LogServiceServicer):
    """Does what it is told, one step for each call; the last step is repeated."""

    def __init__(self, *steps):
        self.steps, self.requests, self.open = list(steps), [], 0

    async def _step(self, request, context):
        self.requests.append(request)
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        self.open += 1
        try:
            return await step(request, context)
        finally:
            self.open -= 1

    Produce = Consume = GetOffsets = ProduceStream = ConsumeStream = _step


@contextlib.asynccontextmanager
async def served(*steps, **options):
    """Give a server that takes these steps, and a client of it."""
    server, servicer = grpc.aio.server(), Scripted(*steps)
    log_pb2_grpc.add_LogServiceServicer_to_server(servicer, server)
    servicer.endpoint = Endpoint("127.0.0.1", server.add_insecure_port("127.0.0.1:0"))
    await server.start()
    try:
        async with (
            asyncio.timeout(LIMIT),
            LogClient(str(servicer.endpoint), **options) as log,
        ):
            yield servicer, log
    finally:
        await server.stop(None)


def cut(code=UNAVAILABLE, *, why="", after=0):
    """
    A step: the connection breaks off, which says nothing of the records.

    A stream is read so far first: *after* requests, without an acknowledgement.
    """

    async def step(_request, context):
        for _ in range(after):
            await context.read()
        await context.abort(code, why)

    return step


def refused(error):
    """A step: the service refuses as it does."""

    async def step(_request, context):
        status = status_of(error)
        metadata = (("grpc-status-details-bin", status.SerializeToString()),)
        code = next(each for each in grpc.StatusCode if each.value[0] == status.code)
        await context.abort(code, status.message, metadata)

    return step


async def hang(_request, _context):
    """A step: no answer ever comes."""
    await asyncio.Event().wait()


async def acknowledge(_request, _context):
    """A step: one record is stored."""
    return log_pb2.ProduceResponse(offset=7, count=1)


async def know(_request, _context):
    """A step: tells what offsets there are."""
    return log_pb2.GetOffsetsResponse(lowest=3, next=9)


def gives(*offsets, then=hang):
    """A step: batches of records by their offsets, then something else."""

    async def step(request, context):
        for batch in offsets:
            records = [log_pb2.Record(value=b"%d" % n, offset=n) for n in batch]
            await context.write(log_pb2.ConsumeStreamResponse(records=records))
        await then(request, context)

    return step


def acknowledges(count, *, then):
    """A step: so many requests of a stream are acknowledged, then something else."""

    async def step(requests, context):
        for n in range(count):
            await context.read()
            response = log_pb2.ProduceStreamResponse(offset=n, count=1)
            await context.write(response)
        await then(requests, context)

    return step


async def end(_request, _context):
    """A step: the stream ends as if all were well."""


async def acknowledges_all(requests, context):
    """A step: each request of a stream is acknowledged until the producer ends."""
    offset = 0
    while await context.read() is not grpc.aio.EOF:
        response = log_pb2.ProduceStreamResponse(offset=offset, count=1)
        await context.write(response)
        offset += 1


async def source(*values):
    """Yield a batch for each of *values*."""
    for value in values:
        yield [Record(value)]
