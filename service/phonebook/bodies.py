"""Contacts as clients send and get them."""

from datetime import datetime, timedelta, timezone
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from service.phonebook.model import (
    MAX_EMAIL,
    MAX_NAME,
    MAX_NOTE,
    MAX_NUMBER_TEXT,
    Contact,
)

__all__ = ["ContactAnswer", "ContactPatch", "ContactValues", "Contacts", "Imported"]

_ANN: dict[str, Any] = {
    "first_name": "Ann",
    "last_name": "Müller",
    "number": "+4930901820",
    "email": "ann@example.org",
}
_KEPT: dict[str, Any] = {
    **_ANN,
    "note": None,
    "id": "01a1fe0e-d4bb-79d6-ac50-8342e5f2dfda",
    "version": 1,
    "created_at": "2026-01-02T03:04:05.678901Z",
    "updated_at": "2026-01-02T03:04:05.678901Z",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)  # noqa: UP017 - both are one object

Name = Annotated[str, Field(max_length=MAX_NAME)]
Number = Annotated[str, Field(min_length=1, max_length=MAX_NUMBER_TEXT)]
Email = Annotated[str, Field(max_length=MAX_EMAIL)]
Note = Annotated[str, Field(max_length=MAX_NOTE)]


def _like(*examples: dict[str, Any]) -> ConfigDict:
    """Return what all have in common: no other member, and an example to show."""
    return ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [*examples]}
    )


class ContactValues(BaseModel):
    """What a client says of a contact; one of the names is needed."""

    model_config = _like(_ANN)

    first_name: Name = Field("", description="First name, in any script.")
    last_name: Name = Field("", description="Last name.")
    number: Number = Field(description="Telephone number; kept as E.164.")
    email: Email | None = Field(None, description="Mail address.")
    note: Note | None = Field(None, description="Anything else.")


class ContactPatch(BaseModel):
    """What shall change, as a merge patch (RFC 7396): null takes a value away."""

    model_config = _like({"note": "Works at night", "email": None})

    first_name: Name | None = None
    last_name: Name | None = None
    number: Number = Field("", description="Telephone number; can't be taken away.")
    email: Email | None = None
    note: Note | None = None


class ContactAnswer(BaseModel):
    """A contact."""

    model_config = _like(_KEPT)

    id: str = Field(description="UUID; greater for later contacts.")
    first_name: str
    last_name: str
    number: str = Field(description="E.164.")
    email: str | None
    note: str | None
    version: int = Field(description="1, and one more with each change; the `ETag`.")
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, contact: Contact) -> "ContactAnswer":
        """Return *contact* as it is told."""
        fields = contact.fields
        return cls(
            id=contact.id,
            first_name=fields.first_name,
            last_name=fields.last_name,
            number=fields.number,
            email=fields.email,
            note=fields.note,
            version=contact.version,
            created_at=_EPOCH + timedelta(microseconds=contact.created_at),
            updated_at=_EPOCH + timedelta(microseconds=contact.updated_at),
        )


class Contacts(BaseModel):
    """A page of contacts."""

    items: list[ContactAnswer]
    next: str | None = Field(None, description="Where the next page is.")


class Imported(BaseModel):
    """What became of an import."""

    added: int = Field(description="Contacts that are new.")
    skipped: int = Field(description="Contacts whose number was taken.")
    refused: int = Field(description="Records that are no contacts.")
    errors: list[dict[str, Any]] = Field(description="Why; the first hundred.")
