"""
What callers send, read so that none of their mistakes is an exception of ours.

gRPC reads the one request of a call before it runs the handler: for as long as it takes
to come, and with the exception's text as the status when it is no message. So calls of
one request are read here, as if they were streams: on the wire they are the same.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import DecodeError

from service.log_api.errors import CallRefused, Reason
from service.log_service.access import Context
from service.log_service.counting import is_bounded

__all__ = ["Parse", "only_request", "reader"]

Parse: TypeAlias = Callable[[bytes], Any]
"""Makes a message of its bytes."""


def reader(parse: Parse, *, counts: bool) -> Parse:
    """
    Return *parse*, with a refusal in the place of what it raises.

    Args:
        parse: Makes a message of its bytes.
        counts: Whether it is one of records, which are counted first.
    """

    def read(data: bytes) -> Any:
        if counts and not is_bounded(data):
            raise CallRefused(Reason.RECORD_TOO_LARGE)
        try:
            return parse(data)
        except DecodeError:
            detail = "it is no message of the API"
            raise CallRefused(Reason.INVALID_REQUEST, detail) from None

    return read


async def only_request(context: Context, *, limit: float) -> Any:
    """
    Return the request of a call that has one.

    Args:
        context: The call.
        limit: Seconds that it may take to come.

    Raises:
        CallRefused: It didn't come, or is none.
    """
    try:
        async with asyncio.timeout(limit):
            request = await context.read()
    except TimeoutError:
        raise CallRefused(Reason.TIMED_OUT) from None
    if request is grpc.aio.EOF:
        raise CallRefused(Reason.INVALID_REQUEST, "it has no message")
    return request
