"""What is typed into the page's field: names, or a number as people dial it."""

import pytest

from service.phonebook.page_search import meant


@pytest.mark.parametrize(
    ("text", "region", "found"),
    [
        ("", "", ("", "")),
        (" ann mül ", "DE", ("ann mül", "")),
        ("4 seasons", "DE", ("4 seasons", "")),
        ("+49 (30)", "", ("", "+4930*")),
        ("+", "", ("", "")),
        ("0049 30", "", ("", "+4930*")),
        ("030/90", "DE", ("", "+493090*")),
        ("(030) 90", "DE", ("", "+493090*")),
        ("06 12", "IT", ("", "+390612*")),
        ("555 01", "US", ("", "+155501*")),
        ("1 555", "US", ("", "+1555*")),
        ("4930", "", ("", "+4930*")),
        ("0", "DE", ("", "+49*")),
        ("٠٣٠", "DE", ("٠٣٠", "")),
        ("1" * 16, "", None),
        ("<script>", "", ("<script>", "")),
        ("x" * 300, "", ("x" * 200, "")),
    ],
)
def test_text_is_names_or_the_beginning_of_a_number(text, region, found):
    """Numbers begin with a digit or a plus; the country's own way to dial is known."""
    assert meant(text, region=region) == found
