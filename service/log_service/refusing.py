"""Failures as statuses, in the language of who called."""

from typing import NoReturn

from grpc_status import rpc_status

from service.commitlog.errors import (
    CommitLogError,
    LogDamaged,
    LogFull,
    WritesRefused,
)
from service.log_api.errors import CallRefused, Reason, reason_of, status_of
from service.log_service.access import Context
from service.log_service.call_line import REQUEST_ID
from service.observability.logging import get_logger

__all__ = ["refuse", "tell"]

_OURS = (LogDamaged, LogFull, WritesRefused)
"""What operators must hear of: files and disks, which clients are told nothing of."""


async def refuse(context: Context, error: CommitLogError) -> NoReturn:
    """
    End the call with the status of *error*.

    Raises:
        grpc.aio.AbortError: Always; the server knows what it means.
    """
    tell(error)
    kept = context.trailing_metadata() or ()  # what an interceptor has set
    if _is_unexpected(error):
        # the text sends whoever reads it to the line in the log
        request_id = str(dict(kept).get(REQUEST_ID, "-"))
        error = CallRefused(Reason.INTERNAL, about={"request_id": request_id})
    languages = (
        str(value)
        for name, value in context.invocation_metadata() or ()
        if name == "accept-language"
    )
    told = status_of(error, accept_language=next(languages, ""))
    status = rpc_status.to_status(told)
    await context.abort(status.code, status.details, (*kept, *status.trailing_metadata))
    raise AssertionError  # abort has raised


def tell(error: CommitLogError) -> None:
    """Log a failure of files and disks, whoever asked."""
    if isinstance(error, _OURS) or _is_unexpected(error):
        get_logger("httpserver.log_service").error(
            "log_failed", reason=f"{type(error).__name__}: {error}"
        )


def _is_unexpected(error: CommitLogError) -> bool:
    """Tell whether *error* is of no kind that clients know, as some of JetStream."""
    return not isinstance(error, CallRefused) and reason_of(error)[0] is Reason.INTERNAL
