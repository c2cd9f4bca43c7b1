"""
A file of contacts in pieces, each whole records, that are sent one after the other.

What an answer acknowledges is there for good; so a file that is cut anywhere is known
to be there up to a line. A record that no service would take is told here, and the rest
of its piece is sent.
"""

import csv
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from service.phonebook.formats import MAX_RECORD, columns, csv_texts
from service.phonebook.model import InvalidContact

__all__ = ["FORMATS", "Piece", "format_of", "pieces"]

_RECORDS = 500
_BYTES = 1_000_000
_MAX_LINE = 16_000_000
"""Bytes of a line, at most: a photo in a vCard can be one."""

FORMATS = {"csv": "text/csv", "jsonl": "application/jsonl", "vcard": "text/vcard"}
"""Media type of each format."""

_ENDINGS = {
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".vcf": "vcard",
    ".vcard": "vcard",
}

Texts = AsyncIterator[tuple[int, str]]


@dataclass(slots=True)
class Piece:
    """
    Some records.

    Attributes:
        read: Bytes of the file up to its end.
        last: Number of the line at its end.
        refused: Records that are not sent, as the service tells of others.
        sent: Records that are.
    """

    head: str
    read: int = 0
    last: int = 0
    refused: list[dict[str, Any]] = field(default_factory=list)
    sent: int = 0
    _size: int = 0
    _texts: list[str] = field(default_factory=list)
    _lines: dict[int, int] = field(default_factory=dict)
    _next: int = 1

    def __post_init__(self) -> None:
        if self.head:
            self._append(self.head, line=1)

    @property
    def is_full(self) -> bool:
        """Whether it is time to send it."""
        return self.sent + len(self.refused) >= _RECORDS or self._size >= _BYTES

    @property
    def body(self) -> bytes:
        """The records as a file of their own."""
        return "".join(self._texts).encode()

    def add(self, text: str, *, line: int, most: int) -> None:
        """Take a record; one that no service takes is refused."""
        reason = ""
        if len(text) > most:
            reason = f"it is longer than {most} characters"
        elif not _is_unicode(text):
            reason = "it is not UTF-8"
        elif self.head and text.count('"') % 2:  # it would take in the next ones
            reason = "a quote in it is not closed"
        if reason:
            self.refused.append({"line": line, "field": "line", "reason": reason})
        else:
            self.sent += 1
            self._append(text, line=line)

    def line_of(self, told: int) -> int:
        """Return the line of the file that is line *told* of the body."""
        return self._lines.get(told, told)

    def _append(self, text: str, *, line: int) -> None:
        self._texts.append(text + "\n")
        self._lines[self._next] = line
        self._next += text.count("\n") + 1
        self._size += len(text)


def format_of(name: str) -> str | None:
    """Return the format that the name of a file tells, if it does."""
    return next((f for end, f in _ENDINGS.items() if name.lower().endswith(end)), None)


async def pieces(file: BinaryIO, form: str, *, begin: int = 1) -> AsyncIterator[Piece]:
    """
    Yield the file in pieces.

    Args:
        file: The contacts.
        form: Their format, of `FORMATS`.
        begin: Line before which records are left out.

    Raises:
        InvalidContact: The head of a CSV is none, or names no number.
        ValueError: A line is longer than any may be.
        OSError: The file can't be read.
    """
    lines = _Lines(file)
    texts = {"csv": csv_texts, "jsonl": _whole, "vcard": _cards}[form](aiter(lines))
    most = _MAX_LINE if form == "vcard" else MAX_RECORD
    head = await _head(texts) if form == "csv" else ""
    piece = Piece(head)
    async for line, text in texts:
        if line < begin or not text.strip():
            continue
        piece.add(text, line=line, most=most)
        piece.read, piece.last = lines.read, line + text.count("\n")
        if piece.is_full:
            yield piece
            piece = Piece(head)
    if piece.sent or piece.refused:
        yield piece


class _Lines:
    """The lines of a file; bytes that are no UTF-8 are kept as surrogates."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.number = self.read = 0

    async def __aiter__(self) -> AsyncIterator[str]:
        while line := self._file.readline(_MAX_LINE):
            self.number += 1
            self.read += len(line)
            if len(line) == _MAX_LINE:
                raise ValueError(f"line {self.number} has {_MAX_LINE} bytes and more")
            text = line.decode("utf-8", "surrogateescape")
            yield text.removesuffix("\n").removesuffix("\r")


async def _whole(lines: AsyncIterator[str]) -> Texts:
    number = 0
    async for line in lines:
        number += 1
        yield number, line


async def _cards(lines: AsyncIterator[str]) -> Texts:
    """Yield each card, and whatever stands between two of them."""
    begin, kept, size = 0, list[str](), 0
    async for number, line in _whole(lines):
        mark = line.strip().upper()
        if mark == "BEGIN:VCARD" and kept:
            yield begin, "\n".join(kept)
            kept, size = [], 0
        begin = begin if kept else number
        if mark or kept:
            kept.append(line[: max(0, _MAX_LINE + 1 - size)])
            size += len(line)
        if mark == "END:VCARD":
            yield begin, "\n".join(kept)
            kept, size = [], 0
    if kept:
        yield begin, "\n".join(kept)


async def _head(texts: Texts) -> str:
    async for _, text in texts:
        try:
            cells = next(csv.reader([text], strict=True), [])
        except csv.Error as error:
            raise InvalidContact("line", f"the head is no CSV: {error}") from None
        if cells:
            columns(cells)
            return text
    return ""


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
