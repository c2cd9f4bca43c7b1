"""
The error tree of the service.

    ServiceError                 what every part of the service raises
    ├── SettingsError            settings that can't be used (the command line exits 2)
    ├── StartError               a part or listener that can't start (exit 1)
    └── RequestError             an answer to the client (RFC 9457 problem+json)
        ├── BadRequest           400  ├── Unauthorized     401  ├── Forbidden       403
        ├── NotFound             404  ├── MethodNotAllowed 405  ├── ContentTooLarge 413
        ├── UnsupportedMediaType 415  ├── Unprocessable    422  ├── TooManyRequests 429
        ├── InternalError        500  ├── Unavailable      503  └── DeadlineExceeded 504

The text of a `RequestError` reaches the client: it tells what is wrong and never echoes
what the client sent.
"""

import math
from collections.abc import Mapping
from http import HTTPStatus

__all__ = [
    "FAILED",
    "BadRequest",
    "ContentTooLarge",
    "DeadlineExceeded",
    "Forbidden",
    "InternalError",
    "MethodNotAllowed",
    "NotFound",
    "RequestError",
    "ServiceError",
    "SettingsError",
    "StartError",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
    "Unprocessable",
    "UnsupportedMediaType",
    "retry_after",
]

FAILED = "The service failed; its log has the cause."
"""All that a client is told of a failure of ours."""


class ServiceError(Exception):
    """Any failure that the service itself raises."""


class SettingsError(ServiceError):
    """
    Settings that can't be used.

    Args:
        problems: One line each: where it stands (file and key, or variable), and why.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class StartError(ServiceError):
    """A part or a listener that can't start; the text names it and the cause."""


class RequestError(ServiceError):
    """
    An answer to the client that is not the one it asked for.

    Args:
        detail: One sentence for the client, or None for the status phrase alone.
        status: Status to answer, 400 to 599; None for that of the class.
        headers: Headers that the answer carries besides, such as `Retry-After`.
        extensions: Further members of the problem document (RFC 9457 §3.2).
    """

    status: int = HTTPStatus.INTERNAL_SERVER_ERROR

    def __init__(
        self,
        detail: str | None = None,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        extensions: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail or type(self).__name__)
        if status is not None:
            self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.extensions = dict(extensions or {})


class BadRequest(RequestError):
    """The request can't be understood."""

    status = HTTPStatus.BAD_REQUEST


class Unauthorized(RequestError):
    """The client has not said who it is, or what it said is wrong."""

    status = HTTPStatus.UNAUTHORIZED


class Forbidden(RequestError):
    """The client is known and may not do this."""

    status = HTTPStatus.FORBIDDEN


class NotFound(RequestError):
    """Nothing is there."""

    status = HTTPStatus.NOT_FOUND


class MethodNotAllowed(RequestError):
    """The path is there, the method is not."""

    status = HTTPStatus.METHOD_NOT_ALLOWED


class ContentTooLarge(RequestError):
    """The body is larger than the limit."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class UnsupportedMediaType(RequestError):
    """The body is of a type that this route does not read."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class Unprocessable(RequestError):
    """The body is well formed and its values are wrong."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class TooManyRequests(RequestError):
    """The client asks more often than it may; carries `Retry-After`."""

    status = HTTPStatus.TOO_MANY_REQUESTS


class InternalError(RequestError):
    """The service failed; the log has the cause under the request id."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR


class Unavailable(RequestError):
    """The service or something it needs is away for now."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


class DeadlineExceeded(RequestError):
    """The handler did not answer within the time-out."""

    status = HTTPStatus.GATEWAY_TIMEOUT


def retry_after(seconds: float) -> dict[str, str]:
    """Return the header that asks for so many seconds, whole and never too few."""
    return {"retry-after": str(math.ceil(seconds))}
