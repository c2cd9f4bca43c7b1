"""Whatever goes wrong becomes an answer, or goes on when it can be none."""

import asyncio
import json

import pytest
from starlette.exceptions import HTTPException

from service.errors import NotFound
from service.server.context import RequestContext
from service.server.reading import ClientDisconnected
from service.server.recovery import STATUS_CLIENT_GONE, recovered

SCOPE = {"type": "http", "method": "GET", "path": "/", "headers": []}


def context() -> RequestContext:
    return RequestContext(SCOPE, None, None, body_limit=0)


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (NotFound("no such thing"), 404, "no such thing"),
        (HTTPException(418, "secret"), 418, None),
        (ValueError("secret"), 500, "The service failed; its log has the cause."),
    ],
    ids=["of ours", "of starlette", "any"],
)
def test_error_becomes_a_problem_document(error, status, detail):
    """What an exception says stays in the log, unless it is meant for the client."""
    answer = recovered(context(), error)

    assert answer.status == status
    assert answer.header("content-type") == "application/problem+json"
    assert json.loads(answer.body).get("detail") == detail


def test_headers_of_starlettes_error_are_kept():
    """405 without `Allow` would be none."""
    answer = recovered(context(), HTTPException(405, headers={"Allow": "GET"}))

    assert answer.header("allow") == "GET"


def test_client_that_left_is_no_failure():
    """The log shows 499, and nothing is sent."""
    answer = recovered(context(), ClientDisconnected())

    assert answer.status == STATUS_CLIENT_GONE
    assert answer.started


@pytest.mark.parametrize("error", [ValueError("x"), NotFound("x")])
def test_failure_during_the_answer_is_raised_on(error):
    """The connection must be cut, so that the client sees it."""
    ctx = context()
    ctx.status = 200

    with pytest.raises(type(error)):
        recovered(ctx, error)


def test_failure_after_the_answer_changes_nothing():
    """The client has it; the log has the failure."""
    ctx = context()
    ctx.status, ctx.finished = 201, True

    answer = recovered(ctx, ValueError("x"))

    assert (answer.status, answer.started) == (201, True)


@pytest.mark.parametrize(
    "error", [asyncio.CancelledError(), KeyboardInterrupt(), SystemExit()]
)
@pytest.mark.parametrize("finished", [False, True])
def test_what_ends_the_process_or_the_task_goes_on(error, finished):
    """A foreign cancellation is obeyed."""
    ctx = context()
    ctx.finished, ctx.status = finished, 200 * finished

    with pytest.raises(type(error)):
        recovered(ctx, error)


@pytest.mark.parametrize("others", [0, 1])
async def test_cancellation_by_the_time_limit_is_504(others):
    """Unless somebody else has cancelled too."""
    ctx = context()
    ctx.timed_out = True

    async def run():
        for _ in range(1 + others):
            asyncio.current_task().cancel()
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError as error:
            return recovered(ctx, error)

    task = asyncio.ensure_future(run())
    if others:
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        assert (await task).status == 504
