"""Who gets the page and who gets JSON."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.server.negotiation import prefers_html

FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (FIREFOX, True),
        ("text/html", True),
        ("TEXT/HTML;Q=0.9, application/json;q=0.8", True),
        ("text/*, */*;q=0.1", True),
        ("text/html;level=1;q=1, */*;q=0.5", True),
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("application/json, text/html", False),
        ("text/html;q=0, */*", False),
        ("text/html;q=0.5, application/*", False),
        ("text/html;q=nonsense", False),
        ("text/html;q=nan", False),
        ("image/webp", False),
    ],
)
def test_page_is_for_who_prefers_it(accept, expected):
    """Only a weight above that of JSON means a browser."""
    assert prefers_html(accept) is expected


@given(st.text(alphabet="texhmlapicionjs/*;q=0.19, \x00\xff"))
def test_no_header_is_too_odd(accept):
    """Whatever the client sends is answered."""
    assert prefers_html(accept) in (True, False)
