"""Contacts as rows of tables, and back."""

from typing import Any

import orjson

from service.phonebook.folding import sort_key, words
from service.phonebook.model import Contact, ContactFields

__all__ = ["as_json", "contact_row", "from_json", "from_row", "word_rows"]

_FIELDS = ("first_name", "last_name", "number", "email", "note")


def contact_row(contact: Contact) -> dict[str, Any]:
    """Return the row of *contact*."""
    fields = contact.fields
    return {
        "id": contact.id,
        "version": contact.version,
        "created_at": contact.created_at,
        "updated_at": contact.updated_at,
        "sort_key": sort_key(fields.last_name, fields.first_name),
        **{name: getattr(fields, name) for name in _FIELDS},
    }


def word_rows(contact: Contact) -> list[dict[str, Any]]:
    """Return the rows of the words that find *contact*; there may be none."""
    last, first = contact.fields.last_name, contact.fields.first_name
    shared = {"contact_id": contact.id, "sort_key": sort_key(last, first)}
    return [{"word": word, **shared} for word in words(last, first)]


def from_row(row: Any) -> Contact:
    """Return the contact of a row, or of whatever has its columns as attributes."""
    return Contact(
        id=row.id,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
        fields=ContactFields(**{name: getattr(row, name) for name in _FIELDS}),
    )


def as_json(contact: Contact) -> str:
    """Return *contact* as text that `from_json` reads."""
    return orjson.dumps(contact).decode()


def from_json(text: str) -> Contact:
    """Return the contact that `as_json` wrote."""
    plain = orjson.loads(text)
    return Contact(**{**plain, "fields": ContactFields(**plain["fields"])})
