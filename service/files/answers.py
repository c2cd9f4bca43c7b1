"""What a store's errors mean to a client, and what they are counted as."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from service.errors import RequestError, retry_after
from service.files import errors
from service.observability.logging import get_logger
from service.server.reading import ClientDisconnected

__all__ = ["answered", "outcome_of", "problem_of"]

_SOON = 1.0
"""Seconds after which a client may ask again when the store is away."""

_CLOSE = {"connection": "close"}
"""The rest of the body is not worth reading."""

_AWAY = "The files can't be reached; nothing is lost, try again."

_ANSWERS: dict[type[BaseException], tuple[int, str, Mapping[str, str]]] = {
    errors.InvalidPath: (400, "{error}", {}),
    errors.DigestMismatch: (400, "What came has another {error} than announced.", {}),
    errors.NotFound: (404, "There is no such file.", {}),
    errors.PathConflict: (409, "A directory is here, or a file above it.", {}),
    errors.PreconditionFailed: (412, "Another version is there than you meant.", {}),
    errors.TooLarge: (413, "It is too large: {error}.", _CLOSE),
    errors.QuotaExceeded: (507, "The quota of all files is used up.", _CLOSE),
    errors.NoSpace: (507, "The disk is full.", _CLOSE),
    errors.StoreUnavailable: (503, _AWAY, retry_after(_SOON)),
}

_OUTCOMES: dict[type[BaseException], str] = {
    errors.DigestMismatch: "mismatched",
    errors.TooLarge: "too_large",
    errors.QuotaExceeded: "no_space",
    errors.NoSpace: "no_space",
    errors.StoreUnavailable: "failed",
    errors.FileError: "refused",
    RequestError: "refused",
    ClientDisconnected: "cut",
    asyncio.CancelledError: "cut",
}


@contextmanager
def answered() -> Iterator[None]:
    """Raise the answer to the client for what a store refuses."""
    try:
        yield
    except errors.FileError as error:
        if isinstance(error, errors.StoreUnavailable):
            log = get_logger("httpserver.files")
            log.warning("files_unreachable", exc_info=error)
        raise problem_of(error) from error


def problem_of(error: errors.FileError) -> RequestError:
    """Return the answer that a store's error comes to."""
    kind = next(each for each in type(error).__mro__ if each in _ANSWERS)
    status, detail, headers = _ANSWERS[kind]
    return RequestError(detail.format(error=error), status=status, headers=headers)


def outcome_of(error: BaseException) -> str:
    """Return what an upload that failed of *error* is counted as."""
    found = (what for kind, what in _OUTCOMES.items() if isinstance(error, kind))
    return next(found, "failed")
