"""What may be in a contact, and what names are compared by."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.phonebook.folding import MAX_WORD, fold, sort_key, words
from service.phonebook.formats import WRITERS
from service.phonebook.model import (
    InvalidContact,
    contact_fields,
    e164,
    new_id,
    number_prefix,
)


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        pytest.param("+49 (30) 901-820", "", "+4930901820", id="written-for-people"),
        pytest.param("030 901820", "DE", "+4930901820", id="national"),
        pytest.param("0049 30 901820", "DE", "+4930901820", id="dialled-abroad"),
        pytest.param("+٤٩ ٣٠ ٩٠١٨٢٠", "", "+4930901820", id="arabic-digits"),
        pytest.param("tel:+49-30-901820", "", "+4930901820", id="uri"),
    ],
)
def test_number_in_any_form_is_e164(text, region, number):
    """What means the same number is the same text."""
    assert e164(text, region=region) == number


@pytest.mark.parametrize(
    "text", ["", "x", "+", "030 901820", "+999 1", "+491", "1" * 99]
)
def test_no_number_is_refused(text):
    """What is no number, or none without a country, is told so without an echo."""
    with pytest.raises(InvalidContact) as caught:
        e164(text)
    assert len(text) < 3 or text not in caught.value.reason


def test_prefix_is_plus_and_digits():
    """A half-typed number is made a beginning of E.164."""
    assert number_prefix("+49 30") == number_prefix("49-30") == "+4930"
    for each in ("", "+", "+4a", "٤", "1" * 16):
        with pytest.raises(InvalidContact):
            number_prefix(each)


def test_names_are_kept_in_one_form():
    """Equal names are equal bytes, with single spaces."""
    decomposed = unicodedata.normalize("NFD", "  Zoë   Ann ")
    fields = contact_fields(first_name=decomposed, number="+4930901820", email=" ")

    assert fields.first_name == "Zoë Ann"
    assert fields.last_name == ""
    assert fields.email is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("first_name", "a\nb", id="line"),
        pytest.param("first_name", "\ud800", id="surrogate"),
        pytest.param("note", "\0", id="nul"),
        pytest.param("email", "a@b", id="no-domain"),
        pytest.param("email", "a b@example.org", id="space"),
        pytest.param("email", "a@b..c", id="empty-label"),
        pytest.param("note", "x" * 2001, id="long"),
    ],
)
def test_wrong_text_is_refused(field, value):
    """The field is told, the value is not."""
    with pytest.raises(InvalidContact) as caught:
        contact_fields(**{"last_name": "Lee", "number": "+4930901820", field: value})
    assert caught.value.field == field


def test_ids_grow():
    """Later ids sort after earlier ones."""
    made = [new_id() for _ in range(3)]

    assert len({*made}) == 3
    assert all(each[14] == "7" and each[19] in "89ab" for each in made)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("Jean-Luc O'Neill", ["jean", "luc", "o", "neill"], id="signs"),
        pytest.param("STRAẞE Straße", ["strasse"], id="sharp-s"),
        pytest.param("Ångström ﬁ", ["angstrom", "fi"], id="forms"),
        pytest.param("می\u200cخواهم", ["میخواهم"], id="joiner"),  # noqa: RUF001 - Persian
        pytest.param("\0 \x1f", [], id="controls"),
    ],
)
def test_words_are_folded(text, found):
    """Case, accents and forms make no difference."""
    assert words(text) == found


@given(st.text(max_size=100))
def test_folding_twice_is_folding_once(text):
    """What is folded stays, and no word or key is longer than an index takes."""
    assert fold(fold(text)) == fold(text)
    assert all(0 < len(word) <= MAX_WORD for word in words(text))
    assert len(sort_key(text, text)) <= 200


def test_formats_have_their_media_types():
    """Each format names one."""
    assert {kind: media.partition(";")[0] for kind, (media, _) in WRITERS.items()} == {
        "jsonl": "application/jsonl",
        "csv": "text/csv",
        "vcard": "text/vcard",
    }
