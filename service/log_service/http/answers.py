"""
Records and refusals as HTTP has them.

A refusal is a problem document with the `reason` that gRPC's clients get too, so that
none has to read a sentence. Of what was to be stored `outcome` tells whether nobody
knows: `unknown`, which must not be sent again without a thought, or `not_stored`.
"""

import base64
from typing import Any

from service.commitlog import Record
from service.commitlog.errors import CommitLogError, OffsetOutOfRange
from service.errors import RequestError, retry_after
from service.log_api.errors import Reason, reason_of
from service.log_api.texts import text
from service.log_service.refusing import tell
from service.server.context import RequestContext

__all__ = ["record_json", "refusal"]

_GONE = 410
_AWAY = 503

_STATUS = {
    Reason.OFFSET_OUT_OF_RANGE: 404,
    Reason.RECORD_TOO_LARGE: 413,
    Reason.LOG_DAMAGED: 500,
    Reason.INVALID_REQUEST: 422,
    Reason.UNKNOWN_STREAM: 404,
    Reason.UNAUTHENTICATED: 401,
    Reason.PERMISSION_DENIED: 403,
    Reason.RATE_LIMITED: 429,
    Reason.TIMED_OUT: 504,
    Reason.INTERNAL: 500,
}
"""The others are 503: a reason of the service, or of its disk."""

_UNKNOWN = frozenset(
    {Reason.WRITES_REFUSED, Reason.OUTCOME_UNKNOWN, Reason.TIMED_OUT, Reason.INTERNAL}
)

_SOON = 1.0
_FULL_FOR = 30.0
"""Seconds after which a retry is worth it: soon, or when somebody has made room."""


def record_json(record: Record) -> dict[str, Any]:
    """Return *record* as clients get it: the JSON form of `log.v1.Record`."""
    told: dict[str, Any] = {
        "offset": record.offset,
        "timestamp_ms": record.timestamp,
        "value": _base64(record.value),
    }
    if record.key is not None:
        told["key"] = _base64(record.key)
    if record.headers:
        told["headers"] = [
            {"name": name, "value": _base64(value)} for name, value in record.headers
        ]
    return told


def refusal(ctx: RequestContext, error: CommitLogError) -> RequestError:
    """
    Return the answer to a request that failed of *error*, and log what is ours.

    Args:
        ctx: The request; its method tells whether something was to be stored.
        error: What was raised.
    """
    tell(error)
    reason, about = reason_of(error)
    values = {"request_id": ctx.request_id, **about}
    values["detail"] = getattr(error, "detail", "")
    locale, sentence = text(reason, ctx.headers.get("accept-language", ""), values)
    told: dict[str, Any] = {"reason": reason.value}
    told |= {
        name: int(each) if each.isdigit() else each for name, each in about.items()
    }
    if ctx.method == "POST":
        told["outcome"] = "unknown" if reason in _UNKNOWN else "not_stored"
    status = _STATUS.get(reason, _AWAY)
    if isinstance(error, OffsetOutOfRange) and error.offset < error.lowest:
        status = _GONE
    headers = {"content-language": locale, **_headers(reason, error, status)}
    return RequestError(sentence, status=status, headers=headers, extensions=told)


def _headers(reason: Reason, error: CommitLogError, status: int) -> dict[str, str]:
    if reason is Reason.UNAUTHENTICATED:
        return {"www-authenticate": 'Bearer realm="log"'}
    wait: float | None = getattr(error, "retry_after", None)
    if wait is None and status == _AWAY:
        wait = _FULL_FOR if reason is Reason.LOG_FULL else _SOON
    return {} if wait is None else retry_after(wait)


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
