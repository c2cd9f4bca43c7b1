"""
A consumer's stream: where it is, so that nothing is left out and nothing comes twice.

A stream that is cut begins again with the record after the last one that was taken,
on another server maybe, which may not have heard of that record yet.
"""

from collections.abc import AsyncGenerator
from typing import Any

import grpc

from service.commitlog.errors import CommitLogError, LogUnreachable, OffsetOutOfRange
from service.commitlog.record import Record
from service.log_api.v1 import log_pb2
from service.log_client.calling import Calling, Flight
from service.log_client.errors import CallFailed
from service.log_client.records import received

__all__ = ["Place", "followed"]

_LAGS = 10
"""Attempts in which a server may not have heard of a record that another one gave."""


class Place:
    """
    Where a consumer is.

    Args:
        offset: Of the record that it gets first.

    Attributes:
        next: Offset of the record that it gets next.
    """

    def __init__(self, offset: int) -> None:
        self.next = offset
        self._begun = False
        self._lags = 0

    def take(self, records: list[Record]) -> list[Record]:
        """
        Return what comes next of *records*.

        Raises:
            CallFailed: Something is left out.
        """
        fresh = [each for each in records if each.offset >= self.next]
        for expected, each in enumerate(fresh, start=self.next):
            if each.offset != expected:
                text = f"offset {each.offset} came in the place of {expected}"
                raise CallFailed(grpc.StatusCode.DATA_LOSS, text)
        if fresh:
            self.next, self._begun, self._lags = fresh[-1].offset + 1, True, 0
        return fresh

    def judged(self, error: OffsetOutOfRange) -> CommitLogError:
        """Return *error*, or that a server has not heard of what another one gave."""
        behind = self._begun and error.next_offset < error.offset
        if not behind or self._lags == _LAGS:
            return error
        self._lags += 1
        return LogUnreachable(f"the server lags behind: {error}")


async def followed(
    calling: Calling, stream: str, *, place: Place, flight: Flight
) -> AsyncGenerator[list[Record] | None, None]:
    """
    Yield batches from *place* on as one stream gives them; None when it stands.

    Args:
        calling: Makes the attempt.
        stream: Which stream.
        place: Where it begins; moved on with each batch.
        flight: What is known of the attempts so far.

    Raises:
        OffsetOutOfRange: There is no such record, nor is it the next one.
        CommitLogError: The stream has ended, which it never does by itself.
    """
    try:
        async with calling.line(flight, produces=False) as line:
            request = log_pb2.ConsumeStreamRequest(stream=stream, offset=place.next)
            call: Any = line.stub.ConsumeStream(request, metadata=line.metadata)
            try:
                await call.initial_metadata()
                if not call.done():
                    yield None
                while (answer := await call.read()) is not grpc.aio.EOF:
                    yield place.take(received(answer.records))
            finally:
                call.cancel()
    except OffsetOutOfRange as error:
        raise place.judged(error) from error
    raise LogUnreachable("the server ended the stream")
