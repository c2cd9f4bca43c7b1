"""vCards as they come from telephones and mail programs, and from our own export."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.phonebook.formats import WRITERS
from service.phonebook.model import Contact, InvalidContact, contact_fields
from service.phonebook.vcards import vcard_records

CARD = "BEGIN:VCARD\r\nVERSION:4.0\r\n{}END:VCARD\r\n"

TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]),
    max_size=100,
)
NOTES = st.text(
    st.one_of(
        st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]),
        st.sampled_from("\n\t\\;,:"),
    ),
    max_size=500,
)


def read(text: str) -> list:
    """What comes of a file: values, or the place and reason of what is wrong."""

    async def lines() -> AsyncIterator[str]:
        for line in text.split("\n")[:-1]:
            yield line.removesuffix("\r")

    async def all_records() -> list:
        return [
            (n, f"{each.field}: {each.reason}" if isinstance(each, InvalidContact) else each)  # noqa: E501
            async for n, each in vcard_records(lines())
        ]  # fmt: skip

    return asyncio.run(all_records())


def values(body: str) -> dict:
    """The values of one card with these lines."""
    [(line, found)] = read(CARD.format(body.replace("\n", "\r\n")))
    assert line == 1
    return found


@settings(deadline=None)
@given(first=TEXT, last=TEXT, note=NOTES)
def test_export_comes_in_again_as_it_was(first, last, note):
    """Folding, escapes and every script: what is written is what is read."""
    try:
        fields = contact_fields(
            first_name=first,
            last_name=last,
            number="+4930901820",
            email="ann@example.org",
            note=note,
        )
    except InvalidContact:  # no name, or a direction mark
        return
    contact = Contact(id="x", version=1, created_at=0, updated_at=0, fields=fields)
    [(_, found)] = read(WRITERS["vcard"][1]([contact, contact], first=True))[1:]

    assert contact_fields(**found) == fields


@settings(deadline=None)
@given(st.text(st.sampled_from('BEGINDVCARTL:;,=\\" \tn14.0\n'), max_size=200))
def test_any_text_gives_records_or_reasons(text):
    """Nothing breaks the reader."""
    for line, found in read(f"BEGIN:VCARD\n{text}\nEND:VCARD\n"):
        assert line >= 1
        assert isinstance(found, str | dict)


def test_card_of_a_telephone_is_read():
    """Groups, types, a preferred number, additional names, a long photo, 3.0."""
    photo = "\n ".join(["A" * 70] * 2000)
    [(_, found)] = read(
        "BEGIN:VCARD\nVERSION:3.0\nN:Müller;Ann;Maria,Eva;Dr.;\nFN:Dr. Ann Müller\n"
        "item1.TEL;type=HOME;type=VOICE:+49 30 1\nitem1.X-ABLabel:x\n"
        'TEL;TYPE="CELL,pref":+49 30 901820\nEMAIL;INTERNET:ann@example.org\n'
        f"PHOTO;ENCODING=b;TYPE=JPEG:{photo}\nNOTE:one\\, two\\nthree\n"
        "END:VCARD\n"
    )

    assert found == {
        "first_name": "Ann Maria Eva",
        "last_name": "Müller",
        "number": "+49 30 901820",
        "email": "ann@example.org",
        "note": "one, two\nthree\nTel: +49 30 1",
    }


@pytest.mark.parametrize(
    ("body", "name", "wanted"),
    [
        pytest.param("FN:Zoe\nTEL:1\n", "last_name", "Zoe", id="one-name"),
        pytest.param("N:;Z\n oe;;;\nTEL:1\n", "first_name", "Zoe", id="folded"),
        pytest.param("N:a\\;b;c\nTEL:1\n", "last_name", "a;b", id="escaped"),
        pytest.param("TEL:1\nTEL;PREF=2:2\nTEL;PREF=1:3\n", "number", "3", id="pref"),
        pytest.param("TEL;VALUE=uri:tel:+49-30\n", "number", "+49-30", id="uri"),
        pytest.param('TEL;X="a:b;c":5\n', "number", "5", id="quoted"),
        pytest.param("tel:6\n", "number", "6", id="lower-case"),
        pytest.param("TEL:\nTEL:7\n", "number", "7", id="empty"),
        pytest.param(
            "TEL:1\nEMAIL:a@b.c\nEMAIL:d@e.f\n", "note", "E-mail: d@e.f", id="emails"
        ),
    ],
)
def test_value_is_found(body, name, wanted):
    """As the standards and common programs write it."""
    assert values(body)[name] == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        pytest.param(CARD.format("N:a;b\n"), (1, "number: it is missing"), id="number"),
        pytest.param(CARD.format("TEL\n"), (1, "line: a line of it names no property"), id="no-value"),  # noqa: E501
        pytest.param(CARD.format('TEL;X="a:1\n'), (1, "line: a line of it has no value"), id="quote"),  # noqa: E501
        pytest.param(CARD.format("TEL;ENCODING=QUOTED-PRINTABLE:1\n"), (1, "line: it is encoded in a way of older vCards"), id="encoded"),  # noqa: E501
        pytest.param("BEGIN:VCARD\nVERSION:2.1\nEND:VCARD\n", (1, "line: its version is none of 3.0 and 4.0"), id="old"),  # noqa: E501
        pytest.param("BEGIN:VCARD\nTEL:1\nEND:VCARD\n", (1, "line: its version is none of 3.0 and 4.0"), id="no-version"),  # noqa: E501
        pytest.param("\nBEGIN:VCARD\nVERSION:4.0\nTEL:1\n", (2, "line: it has no end"), id="cut"),  # noqa: E501
        pytest.param("BEGIN:VCARD\nBEGIN:VCARD\n", (1, "line: it has no end"), id="two-begin"),  # noqa: E501
        pytest.param("a,b\n1,2\n", (1, "line: it is no vCard"), id="other"),
        pytest.param(CARD.format("NOTE:" + "x" * 30_000 + "\n"), (1, "line: it has more than 20000 characters"), id="long"),  # noqa: E501
        pytest.param(CARD.format("NOTE:x\n" + " x\n" * 30_000), (1, "line: it has more than 20000 characters"), id="long-folded"),  # noqa: E501
    ],
)  # fmt: skip
def test_what_is_no_card_is_told_by_its_line(text, wanted):
    """One reason each; the cards around it are read."""
    good = CARD.format("N:;Ann;;;\r\nTEL:1\r\n")
    assert read(text)[0] == wanted
    assert isinstance(read(text + good)[-1][1], dict)
