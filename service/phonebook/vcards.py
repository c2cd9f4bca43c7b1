"""
Reads vCards (RFC 6350, and 3.0 as of RFC 2426), a line at a time.

A contact has one number and one address: those that are preferred, else the first ones.
Further ones are put into the note, so that none is lost. What a contact has no place
for (photos, addresses, …) is passed over, however long it is.

    N      last name; first name, additional names; the rest is left out
    FN     the last name, where there is no N
    TEL    number, as text or `tel:`
    EMAIL  email
    NOTE   note, line by line where there are several
"""

import re
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from service.phonebook.model import InvalidContact

__all__ = ["vcard_records"]

_WANTED = frozenset({"BEGIN", "END", "VERSION", "N", "FN", "TEL", "EMAIL", "NOTE"})
_VERSIONS = frozenset({"3.0", "4.0"})
_MAX_CARD = 20_000
"""Characters of a card that count, at most."""

_MAX_LINE = _MAX_CARD + 1
_MAX_NAME = 200
"""Characters in which the name of a property ends."""

_UNPREFERRED = 101
_NAME = re.compile(r"(?:[A-Za-z0-9-]+\.)?([A-Za-z0-9-]+)(?=[;:])")
"""A group may stand before the name: `item1.TEL`."""

_PARAMETER = re.compile(r';([^=;:"]+)(?:=((?:"[^"]*"|[^";:])*))?')
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_PIECES = re.compile(r"(?:\\.|[^;\\])*", re.DOTALL)

Record = tuple[int, Mapping[str, Any] | InvalidContact]


@dataclass(frozen=True, slots=True)
class _Property:
    name: str
    parameters: Mapping[str, str]
    value: str

    @property
    def text(self) -> str:
        return _plain(self.value)

    @property
    def preference(self) -> int:
        """1 for the most preferred; 3.0 says so among the types."""
        told = self.parameters.get("PREF", "")
        if told.isascii() and told.isdigit():
            return int(told[:3])
        types = self.parameters.get("TYPE", "").lower().split(",")
        return 1 if "pref" in types else _UNPREFERRED


@dataclass(slots=True)
class _Card:
    """A card that is being read; what is wrong with it is told at its end."""

    line: int
    size: int = 0
    properties: list[_Property] = field(default_factory=list)
    wrong: InvalidContact | None = None

    def take(self, text: str) -> None:
        self.size += len(text)
        if self.size > _MAX_CARD:
            self.wrong = InvalidContact(
                "line", f"it has more than {_MAX_CARD} characters"
            )
        if self.wrong is None:
            try:
                self.properties.append(_property(text))
            except InvalidContact as error:
                self.wrong = error

    def record(self) -> Record:
        try:
            if self.wrong is not None:
                raise self.wrong
            return self.line, _values(self.properties)
        except InvalidContact as error:
            return self.line, error


async def vcard_records(lines: AsyncIterator[str]) -> AsyncIterator[Record]:
    """Yield the values of each card, at the line where it begins."""
    card: _Card | None = None
    lost = False
    async for number, text in _unfolded(lines):
        mark = text.strip().upper()
        if mark == "BEGIN:VCARD":
            if card is not None:
                yield card.line, InvalidContact("line", "it has no end")
            card, lost = _Card(number), False
        elif card is None:
            if mark and not lost:  # told once, until the next card begins
                yield number, InvalidContact("line", "it is no vCard")
                lost = True
        elif mark == "END:VCARD":
            yield card.record()
            card = None
        elif mark:
            card.take(text)
    if card is not None:
        yield card.line, InvalidContact("line", "it has no end")


async def _unfolded(lines: AsyncIterator[str]) -> AsyncIterator[tuple[int, str]]:
    """
    Yield whole lines and their numbers: one that begins with a space continues the one
    before. Those of properties that nobody wants are left out, and of one that is too
    long only what shows it.
    """
    number, begin, size, text = 0, 0, 0, ""
    async for line in lines:
        number += 1
        if line[:1] in (" ", "\t") and begin:
            size += len(line)
            if size <= _MAX_NAME or (size <= _MAX_LINE and _is_wanted(text)):
                text += line[1:]
            continue
        if begin and _is_wanted(text):
            yield begin, text if size <= _MAX_LINE else text.ljust(_MAX_LINE)
        begin, size, text = number, len(line), line.removeprefix("\ufeff")
    if begin and _is_wanted(text):
        yield begin, text if size <= _MAX_LINE else text.ljust(_MAX_LINE)


def _is_wanted(text: str) -> bool:
    """Whether a property is one of ours, or may yet turn out to be."""
    found = _NAME.match(text, 0, _MAX_NAME)
    return found is None or found[1].upper() in _WANTED


def _property(text: str) -> _Property:
    found = _NAME.match(text)
    if found is None:
        raise InvalidContact("line", "a line of it names no property")
    end, parameters = found.end(), dict[str, str]()
    while parameter := _PARAMETER.match(text, end):
        name, value = parameter[1].upper(), parameter[2]
        if value is None:  # 3.0's way to give a type
            name, value = "TYPE", parameter[1]
        kept = [parameters[name]] if name in parameters else []
        parameters[name] = ",".join([*kept, value.replace('"', "")])
        end = parameter.end()
    if text[end : end + 1] != ":":
        raise InvalidContact("line", "a line of it has no value")
    if "ENCODING" in parameters:
        raise InvalidContact("line", "it is encoded in a way of older vCards")
    return _Property(found[1].upper(), parameters, text[end + 1 :])


def _values(properties: list[_Property]) -> dict[str, str]:
    """Return what a client may say of a contact."""
    named: dict[str, list[_Property]] = {name: [] for name in _WANTED}
    for each in properties:
        named[each.name].append(each)
    if {each.value.strip() for each in named["VERSION"]} - _VERSIONS or not named["VERSION"]:  # noqa: E501  # fmt: skip
        raise InvalidContact("line", "its version is none of 3.0 and 4.0")
    numbers, emails = _preferred(named["TEL"]), _preferred(named["EMAIL"])
    if not numbers:
        raise InvalidContact("number", "it is missing")
    notes = [each.text for each in named["NOTE"]]
    notes += [f"Tel: {_number(each)}" for each in numbers[1:]]
    notes += [f"E-mail: {each.text.strip()}" for each in emails[1:]]
    first, last = _names(named["N"], named["FN"])
    return {
        "first_name": first,
        "last_name": last,
        "number": _number(numbers[0]),
        "email": emails[0].text.strip() if emails else "",
        "note": "\n".join(notes),
    }


def _names(n: list[_Property], fn: list[_Property]) -> tuple[str, str]:
    """Return first and last name."""
    parts = [_plain(each) for each in _split(n[0].value)] if n else []
    last, first, additional = [*parts, "", "", ""][:3]
    both = f"{first} {additional}".strip(" "), last
    return both if any(both) else ("", fn[0].text if fn else "")


def _split(value: str) -> Iterable[str]:
    """Yield the components of a value, which semicolons part."""
    end = 0
    while end <= len(value):
        found = _PIECES.match(value, end)
        piece = found[0] if found else ""
        yield piece.replace("\\,", "\0").replace(",", " ").replace("\0", "\\,")
        end += len(piece) + 1


def _preferred(found: list[_Property]) -> list[_Property]:
    """Return those that say something, the preferred ones first."""
    return sorted(
        (each for each in found if each.value.strip()), key=lambda e: e.preference
    )


def _number(found: _Property) -> str:
    return re.sub("^tel:", "", found.text.strip(), flags=re.IGNORECASE)


def _plain(text: str) -> str:
    return _ESCAPED.sub(lambda each: "\n" if each[1] in "nN" else each[1], text)
