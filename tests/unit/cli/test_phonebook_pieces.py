"""Files of contacts in pieces: every record once, at its line, none cut in two."""

import asyncio
import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.cli.phonebook.pieces import Piece, format_of, pieces
from service.phonebook.model import InvalidContact

CELLS = st.text(st.sampled_from('a,"\n ä'), max_size=8)


def split(content: bytes, form: str, begin: int = 1) -> list[Piece]:
    async def found() -> list[Piece]:
        return [each async for each in pieces(io.BytesIO(content), form, begin=begin)]

    return asyncio.run(found())


def rows_of(body: bytes) -> list[list[str]]:
    return [row for row in csv.reader(io.StringIO(body.decode(), newline="")) if row]


@given(st.lists(st.tuples(CELLS, CELLS), max_size=20), st.integers(1, 60))
@settings(deadline=None, max_examples=50)
def test_pieces_of_a_csv_are_the_whole_file(rows, times):
    """Quotes, line ends in them and scripts; each piece has the head."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerows([("number", "note"), *(rows * times)])
    found = split(out.getvalue().encode(), "csv")
    read = [tuple(row) for each in found for row in rows_of(each.body)[1:]]

    assert read == rows * times
    assert all(rows_of(each.body)[0] == ["number", "note"] for each in found)
    assert all(each.sent <= 500 for each in found)


def test_lines_are_those_of_the_file():
    """Through heads, records of several lines, empty ones and refused ones."""
    rows = [f'"{n}\n",x' for n in range(600)]
    content = "\n".join(["number,", *rows]).encode().replace(b'"7\n"', b'"\xff\n"')
    first, second = split(content, "csv")

    assert [each["line"] for each in first.refused] == [16]
    assert (first.sent, first.last, second.last) == (499, 1001, 1201)
    assert second.line_of(2) == 1002
    assert second.line_of(4) == 1004
    assert first.line_of(16) == 18
    [rest] = split(content, "csv", begin=first.last + 1)
    assert rest.body == second.body


@pytest.mark.parametrize(
    "head", ['"a"b,number', f"number,{'y' * 140_000}", "name", '"number'], ids=range(4)
)
def test_head_that_is_none_is_told(head):
    """Of whatever makes it none: nothing is sent."""
    with pytest.raises(InvalidContact):
        split(f"{head}\n1,2\n".encode(), "csv")


def test_cards_stay_whole():
    """One that has no end is apart from the next one."""
    card = "BEGIN:VCARD\r\nNOTE:a\r\n\r\n b\r\nEND:VCARD\r\n"
    [found] = split((card + "\r\nBEGIN:VCARD\r\nTEL:1\r\n" + card).encode(), "vcard")

    assert found.sent == 3
    assert found.body.count(b"BEGIN") == 3
    assert [found.line_of(n) for n in (1, 6, 8)] == [1, 7, 9]


@pytest.mark.parametrize(
    ("content", "form", "reason"),
    [
        (b'number\n"1\n2\n', "csv", "a quote in it is not closed"),
        (b"number\n" + b"1" * 20_001, "csv", "it is longer than 20000 characters"),
        (b"\xff\n", "jsonl", "it is not UTF-8"),
        (b"x" * 20_001, "jsonl", "it is longer than 20000 characters"),
    ],
)
def test_record_that_no_service_takes_is_refused_here(content, form, reason):
    """And nothing is sent for it."""
    [found] = split(content, form)

    assert (found.sent, [each["reason"] for each in found.refused]) == (0, [reason])


def test_large_records_make_small_pieces():
    """Memory does not grow with the file."""
    line = b'{"note": "' + b"x" * 15_000 + b'"}\n'
    found = split(line * 300, "jsonl")

    assert max(len(each.body) for each in found) < 1_100_000
    assert sum(each.sent for each in found) == 300


@pytest.mark.parametrize("content", [b"", b"\n\n", b"first_name\nA\n", b"a,a,number\n"])
def test_csv_without_a_head_is_no_file_of_contacts(content):
    """It is told at once; an empty one has nothing in it."""
    if content.strip():
        with pytest.raises(InvalidContact):
            split(content, "csv")
    else:
        assert split(content, "csv") == []


def test_line_without_an_end_is_refused():
    """A file of another kind fills no memory."""
    with pytest.raises(ValueError, match="line 1 has"):
        split(b"x" * 16_000_001, "jsonl")


@pytest.mark.parametrize(
    ("name", "form"),
    [("a.CSV", "csv"), ("b.vcf", "vcard"), ("c.ndjson", "jsonl"), ("csv", None)],
)
def test_format_is_told_by_the_name(name, form):
    """Whatever its case."""
    assert format_of(name) == form
