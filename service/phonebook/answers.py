"""What a store's errors mean to a client, and conditions on versions (RFC 9110 §13)."""

from collections.abc import Iterator
from contextlib import contextmanager

from service.errors import (
    NotFound,
    RequestError,
    Unavailable,
    Unprocessable,
    retry_after,
)
from service.phonebook import store
from service.phonebook.model import Contact, InvalidContact

__all__ = ["answered", "crowded", "etag", "has_version", "no_version", "versions"]

_SOON = 1.0
"""Seconds after which a client may ask again when the store is away, or crowded."""

_CONFLICT = 409
_PRECONDITION_FAILED = 412
_PRECONDITION_REQUIRED = 428


@contextmanager
def answered(place: str = "body") -> Iterator[None]:
    """
    Raise the answer to the client for what a contact or a store is refused for.

    Args:
        place: Where in the request the contact stands.
    """
    try:
        yield
    except store.NotFound:
        raise NotFound("There is no such contact.") from None
    except store.Duplicate:
        detail = "Another contact has this number."
        raise RequestError(detail, status=_CONFLICT) from None
    except store.Conflict:
        raise no_version() from None
    except store.OtherRequest:
        detail = "This idempotency key belongs to another request."
        raise Unprocessable(detail) from None
    except store.StoreUnavailable as error:
        detail = "The phone book's store is away; nothing is lost, try again."
        headers = retry_after(_SOON)
        raise Unavailable(detail, headers=headers) from error
    except InvalidContact as error:
        told = {"loc": [place, error.field], "type": "value_error", "msg": error.reason}
        detail = "The request's values are wrong."
        raise Unprocessable(detail, extensions={"errors": [told]}) from None


def etag(contact: Contact) -> str:
    """Return the tag of the contact's version."""
    return f'"{contact.version}"'


def has_version(header: str | None, contact: Contact) -> bool:
    """Whether `If-None-Match` names the contact's version."""
    tags = [tag.strip().removeprefix("W/") for tag in (header or "").split(",")]
    return "*" in tags or etag(contact) in tags


def no_version() -> RequestError:
    """Return the 412."""
    detail = "It has changed since you read it."
    return RequestError(detail, status=_PRECONDITION_FAILED)


def crowded() -> Unavailable:
    """Return the 503 for a change of any version that others always came before."""
    detail = "Too many change it at the same time; nothing was changed, try again."
    return Unavailable(detail, headers=retry_after(_SOON))


def versions(header: str | None, *, needed: bool) -> frozenset[int] | None:
    """
    Return the versions that `If-Match` names; None for any.

    Args:
        header: Its value.
        needed: Whether a change without it is refused: it might undo another's.

    Raises:
        RequestError: 428: there is none.
    """
    if header is None:
        if needed:
            detail = "Say which version you change: If-Match with its ETag, or *."
            raise RequestError(detail, status=_PRECONDITION_REQUIRED)
        return None
    tags = [tag.strip() for tag in header.split(",")]
    if "*" in tags:
        return None
    plain = (tag[1:-1] for tag in tags if len(tag) > 2 and tag[0] == tag[-1] == '"')  # noqa: PLR2004 - the quotes
    return frozenset(int(t) for t in plain if t.isascii() and t.isdigit() and len(t) < 10)  # fmt: skip  # noqa: E501, PLR2004 - digits of a version
