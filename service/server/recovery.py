"""
Whatever goes wrong becomes an answer: never a trace to the client, never silence.

A failure after the head was sent is raised on, so that the connection is cut and the
client sees that the answer is not whole.
"""

import asyncio
from typing import Any

from starlette.exceptions import HTTPException

from service.errors import FAILED, DeadlineExceeded, InternalError, RequestError
from service.observability.logging import get_logger
from service.server.context import RequestContext
from service.server.deadlines import taken_back
from service.server.reading import ClientDisconnected
from service.server.responses import Response, SentResponse

__all__ = ["STATUS_CLIENT_GONE", "recovered"]

STATUS_CLIENT_GONE = 499
"""What the log and the metrics show for a client that left before its answer."""

_TOO_LATE = "The handler did not answer in time."


def recovered(ctx: RequestContext, error: BaseException) -> Response:
    """
    Return the answer that *error* comes to.

    Args:
        ctx: The request.
        error: What the rest of the chain raised.

    Raises:
        BaseException: *error* again, when the answer has begun or the task is cancelled
            by somebody else than the time limit.
    """
    if isinstance(error, ClientDisconnected):
        return SentResponse(status=STATUS_CLIENT_GONE)
    if ctx.finished and isinstance(error, Exception):
        _log_failure(ctx, error)
        return SentResponse(status=ctx.status)
    answer = ctx.write_problem(_problem(ctx, error))
    if ctx.started:
        raise error
    return answer


def _problem(ctx: RequestContext, error: BaseException) -> RequestError:
    if isinstance(error, RequestError):
        return error
    if isinstance(error, HTTPException):
        return RequestError(status=error.status_code, headers=error.headers)
    if isinstance(error, asyncio.CancelledError):
        if ctx.timed_out and taken_back():
            return DeadlineExceeded(_TOO_LATE)
        raise error
    if not isinstance(error, Exception):
        raise error
    _log_failure(ctx, error)
    return InternalError(FAILED)


def _log_failure(ctx: RequestContext, error: BaseException) -> None:
    if not isinstance(error, RequestError | HTTPException):
        if ctx.on_failure is not None:
            ctx.on_failure(error)
        _log().error("request_failed", route=ctx.route, exc_info=error)


def _log() -> Any:
    return get_logger("httpserver.server")
