"""
A producer's stream: batches go out while the acknowledgements of earlier ones come in.

One session is one stream to one server. What it could not get acknowledged stays in
`Outgoing`, from which the next session sends it again.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import grpc

from service.commitlog.errors import CommitLogError, OutcomeUnknown
from service.concurrency.cancelling import cancelled
from service.log_api.v1 import log_pb2
from service.log_client.calling import Calling, Flight
from service.log_client.errors import cuts_off
from service.log_client.sending import Outgoing, SourceFailed

__all__ = ["Acknowledged", "produced"]


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """
    What became of a batch.

    Attributes:
        offset: Of its first record; the others follow.
        count: How many it has.
    """

    offset: int
    count: int


_LAST_WORD = 1.0
"""Seconds that what the source raised has to arrive, once the stream has ended."""


async def produced(
    calling: Calling, stream: str, *, outgoing: Outgoing
) -> AsyncGenerator[Acknowledged, None]:
    """
    Send what was not acknowledged, and what comes, on one stream.

    Args:
        calling: Makes the attempt.
        stream: Which stream.
        outgoing: What is to be sent; acknowledged there too.

    Raises:
        CommitLogError: The stream ended before all was acknowledged.
        SourceFailed: What was to be sent could not be had.
    """
    outgoing.again()
    try:
        async with calling.line(Flight(), produces=True) as line:
            call: Any = line.stub.ProduceStream(metadata=line.metadata)
            writing = asyncio.create_task(_write(call, outgoing, stream))
            try:
                while (answer := await call.read()) is not grpc.aio.EOF:
                    outgoing.acknowledge()
                    yield Acknowledged(answer.offset, answer.count)
                # one that ends while the source is waited for has ended too early
                await asyncio.wait([writing], timeout=_LAST_WORD)
                if writing.done():
                    await writing
            finally:
                call.cancel()
                await cancelled([writing])
    except OutcomeUnknown as error:
        raise outgoing.lost(str(error)) from error
    except CommitLogError as error:
        if cuts_off(error):
            outgoing.refused()
        raise
    if not outgoing.is_done:
        raise outgoing.lost("the server ended the stream")


async def _write(call: Any, outgoing: Outgoing, stream: str) -> None:
    """Send batch after batch; what fails in that is told to who reads."""
    try:
        while (batch := await _taken(outgoing)) is not None:
            request = log_pb2.ProduceStreamRequest(stream=stream, records=batch)
            try:
                await _send(call, request)
            except (grpc.aio.AioRpcError, grpc.aio.InternalError):
                return
    finally:
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            await call.done_writing()


async def _taken(outgoing: Outgoing) -> list[log_pb2.Record] | None:
    try:
        return await outgoing.take()
    except Exception as error:
        raise SourceFailed(error) from error


async def _send(call: Any, request: log_pb2.ProduceStreamRequest) -> None:
    """
    Send one request.

    When the stream ends meanwhile, `call.write` would put a status of its own in the
    place of the server's: nobody could tell any more what is stored.

    Source: `_StreamRequestMixin._write` in grpcio's `aio/_call.py`
    """
    await call.wait_for_connection()
    await call._cython_call.send_serialized_message(  # noqa: SLF001 - see above
        request.SerializeToString()
    )
