"""
The handlers of calls: what kind a call is, and how each kind runs.

A handler of gRPC has one of four forms; here all are called alike, with what came and
the call.
"""

import asyncio
import inspect
from collections.abc import Callable
from traceback import clear_frames
from typing import Any, NamedTuple, TypeAlias

import grpc

from service.log_service.access import Context

__all__ = ["OWN", "CallKind", "Handler", "inner_of", "lightened", "run", "send"]

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

OWN = "/log.v1."
"""Begin of the methods that end their streams themselves."""


class CallKind(NamedTuple):
    """
    What a call is.

    Attributes:
        name: Its service and method.
        stream: Whether it lasts as long as its ends want.
        own: Whether it is of the log service, not of its health.
        only_sends: Whether it is a stream to the caller alone.
    """

    name: str
    stream: bool
    own: bool
    only_sends: bool

    @property
    def waits(self) -> bool:
        """Whether it only waits for something to come: cutting it loses nothing."""
        return self.only_sends or not self.own

    @classmethod
    def of(cls, method: str, handler: Handler) -> "CallKind":
        """Return the kind of *method*, which *handler* answers."""
        return cls(
            method.removeprefix("/"),
            stream=handler.request_streaming or handler.response_streaming,
            own=method.startswith(OWN),
            only_sends=handler.response_streaming and not handler.request_streaming,
        )


async def run(inner: Callable[..., Any], request: Any, context: Context) -> None:
    """Run a handler of either form: one that yields responses, or writes them."""
    answers = inner(request, context)
    if inspect.isasyncgen(answers):
        async for each in answers:
            await context.write(each)
    else:
        await answers


async def send(response: Any, context: Context) -> None:
    """Send the answer of a call that has one."""
    try:
        await context.write(response)
    except grpc.aio.InternalError as error:
        raise asyncio.CancelledError from error  # the caller is gone


def lightened(aborted: grpc.aio.AbortError) -> grpc.aio.AbortError:
    """Return *aborted* without the requests that it holds: gRPC keeps it for long."""
    clear_frames(aborted.__traceback__)
    aborted.__context__ = None
    return aborted.with_traceback(None)


def inner_of(handler: Handler) -> Callable[..., Any]:
    """Return what *handler* runs."""
    kinds: dict[tuple[bool, bool], Any] = {
        (False, False): handler.unary_unary,
        (False, True): handler.unary_stream,
        (True, False): handler.stream_unary,
        (True, True): handler.stream_stream,
    }
    found: Callable[..., Any] = kinds[
        handler.request_streaming, handler.response_streaming
    ]
    return found
