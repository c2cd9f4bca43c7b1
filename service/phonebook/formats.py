"""
Contacts as CSV (RFC 4180), JSON lines and vCard 4.0 (RFC 6350).

Records are read as they come, a line at a time: a file of any length takes the memory
of its longest record. CSV has a head that names its columns, in any order. What is
exported can be imported: the members that a service gives (`id`, `version` and the
times) are left out of what is read.
"""

import csv
import io
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any

import orjson

from service.phonebook.bodies import ContactAnswer
from service.phonebook.model import Contact, InvalidContact

__all__ = [
    "MAX_RECORD",
    "WRITERS",
    "columns",
    "csv_records",
    "csv_texts",
    "json_records",
]

_FIELDS = ("first_name", "last_name", "number", "email", "note")
_GIVEN = ("id", "version", "created_at", "updated_at")
MAX_RECORD = 20_000
"""Characters of a record, at most."""

_MAX_LINES = 2_100
"""Lines of one record; a note of 2000 characters can have as many."""

_VCARD_LINE = 75
"""Octets of a line of a vCard, at most."""

Record = tuple[int, Mapping[str, Any] | InvalidContact]
"""Number of the line that a record begins at, and its values or what is wrong."""


async def json_records(lines: AsyncIterator[str]) -> AsyncIterator[Record]:
    """Yield the values of each line that is not empty."""
    number = 0
    async for line in lines:
        number += 1
        if not line.strip():
            continue
        try:
            yield number, _plain(orjson.loads(line))
        except orjson.JSONDecodeError:
            yield number, InvalidContact("line", "it is not JSON")
        except InvalidContact as error:
            yield number, error


async def csv_records(lines: AsyncIterator[str]) -> AsyncIterator[Record]:
    """Yield the values of each record; the first one names the columns."""
    head: list[str] | None = None
    number = 0
    async for begin, text in csv_texts(lines):
        number = begin
        if not text:
            continue
        try:
            cells = next(csv.reader([text], strict=True), [])
        except csv.Error:
            yield number, InvalidContact("line", "it is not CSV")
            continue
        if not cells:
            continue
        if head is None:
            try:
                head = columns(cells)
            except InvalidContact as error:
                yield number, error
                return
        elif len(cells) != len(head):
            yield number, InvalidContact("line", "it has another number of cells")
        else:
            try:
                yield number, _plain(dict(zip(head, cells, strict=True)))
            except InvalidContact as error:
                yield number, error


def columns(cells: Sequence[str]) -> list[str]:
    """
    Return the names of the columns that the head of a CSV has.

    Raises:
        InvalidContact: There is no number among them, or one of them twice.
    """
    head = [cell.strip().lower().removeprefix("\ufeff") for cell in cells]
    if "number" not in head or len({*head}) < len(head):
        raise InvalidContact("line", "the head names no number")
    return head


async def csv_texts(lines: AsyncIterator[str]) -> AsyncIterator[tuple[int, str]]:
    """Yield the text of each record: lines are joined while a quote is open."""
    number = begin = 0
    kept: list[str] = []
    quotes = size = 0
    async for line in lines:
        number += 1
        begin = begin if kept else number
        kept.append(line)
        quotes += line.count('"')
        size += len(line)
        if quotes % 2 == 0 or size > MAX_RECORD or len(kept) > _MAX_LINES:
            yield begin, "\n".join(kept)
            kept, quotes, size = [], 0, 0
    if kept:
        yield begin, "\n".join(kept)


def _plain(values: Any) -> Mapping[str, Any]:
    """Return what a client may say of a contact; refuse all else."""
    if not isinstance(values, dict):
        raise InvalidContact("line", "it is no object")
    found = {name: value for name, value in values.items() if name not in _GIVEN}
    if not {*found} <= {*_FIELDS}:
        raise InvalidContact("line", "it has unknown members")
    for name, value in found.items():
        if not isinstance(value, str | None):
            raise InvalidContact(name, "it is no text")
    if not found.get("number"):
        raise InvalidContact("number", "it is missing")
    return found


def _write_json(contacts: Iterable[Contact], *, first: bool) -> str:
    del first
    lines = (ContactAnswer.of(each).model_dump_json() + "\n" for each in contacts)
    return "".join(lines)


def _write_csv(contacts: Iterable[Contact], *, first: bool) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [*_FIELDS, *_GIVEN], lineterminator="\r\n")
    if first:
        writer.writeheader()
    writer.writerows(ContactAnswer.of(e).model_dump(mode="json") for e in contacts)
    return text.getvalue()


def _write_vcards(contacts: Iterable[Contact], *, first: bool) -> str:
    del first
    return "".join(_vcard(each) for each in contacts)


def _vcard(contact: Contact) -> str:
    fields = contact.fields
    both = f"{fields.first_name} {fields.last_name}".strip()
    lines = [
        "BEGIN:VCARD",
        "VERSION:4.0",
        f"UID:urn:uuid:{contact.id}",
        f"FN:{_escaped(both)}",
        f"N:{_escaped(fields.last_name)};{_escaped(fields.first_name)};;;",
        f"TEL;VALUE=uri:tel:{fields.number}",
        f"EMAIL:{_escaped(fields.email)}" if fields.email else "",
        f"NOTE:{_escaped(fields.note)}" if fields.note else "",
        f"REV:{ContactAnswer.of(contact).updated_at:%Y%m%dT%H%M%SZ}",
        "END:VCARD",
    ]
    return "".join(_folded(line) for line in lines if line)


def _escaped(text: str) -> str:
    for sign in ("\\", ",", ";"):
        text = text.replace(sign, "\\" + sign)
    return text.replace("\n", "\\n")


def _folded(line: str) -> str:
    """Return the line in pieces of 75 octets, none of which cuts a character."""
    pieces, size = [""], 0
    for character in line:
        width = len(character.encode())
        if size + width > _VCARD_LINE:
            pieces.append(" ")
            size = 1
        pieces[-1] += character
        size += width
    return "".join(piece + "\r\n" for piece in pieces)


WRITERS: dict[str, tuple[str, Callable[..., str]]] = {
    "jsonl": ("application/jsonl", _write_json),
    "csv": ("text/csv; charset=utf-8; header=present", _write_csv),
    "vcard": ("text/vcard; charset=utf-8", _write_vcards),
}
"""Media type and writer of each format."""
