"""Bytes as people see them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.log_service.http.views import shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"", ""),
        (b"a\tb\nc", "a\tb\nc"),
        ("ключ 🙂".encode(), "ключ 🙂"),
        (b"\x00", "00"),
        (b"a\rb", "61 0d 62"),
        (b"\xff\xfe", "ff fe"),
        ("a\u202eb".encode(), "61 e2 80 ae 62"),
    ],
)
def test_text_is_shown_as_text_and_others_as_bytes(value, text):
    """What shows nothing, or turns its neighbours around, is no text."""
    assert shown(value).text == text


@given(st.binary(max_size=2000))
def test_any_bytes_are_shown_within_bounds(value):
    """Nothing fails, nothing is endless, and what is cut is said to be."""
    found = shown(value)

    assert len(found.text) <= 800
    assert found.size == len(value)
    if found.is_binary and not found.is_cut:
        assert bytes.fromhex(found.text) == value
    elif not found.is_cut:
        assert found.text.encode() == value
