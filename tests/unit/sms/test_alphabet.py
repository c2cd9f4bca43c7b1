"""Texts in the GSM alphabet, cut to what a number of message parts carries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.sms.alphabet import BASIC, EXTENDED, fitting, single_line


@pytest.mark.parametrize(
    ("given_text", "sent"),
    [
        ("plain: 5 % of 3 pods", "plain: 5 % of 3 pods"),
        ("naïve café — “quoted” … `code`", "naive café - \"quoted\" ... 'code'"),
        ("Größe über Maß", "Größe über Maß"),
        ("čaj Łódź", "caj Lodz"),
        ("p99 ≥ 2 s → bad, 5 µs", "p99 >= 2 s -> bad, 5 us"),
        ("{a} [b] ~ | € ^ \\", "{a} [b] ~ | € ^ \\"),
        ("½ full", "1/2 full"),
        ("服务 down “now”", "服务 down “now”"),
    ],
    ids=[
        "plain",
        "typography",
        "german",
        "polish",
        "signs",
        "extended",
        "half",
        "han",
    ],
)
def test_text_is_sent_in_the_cheaper_alphabet_where_that_is_possible(given_text, sent):
    """What has a counterpart is replaced, and a text that needs more is left alone."""
    assert fitting(given_text, 1000) == sent


@pytest.mark.parametrize(
    ("given_text", "limit", "sent"),
    [
        ("a" * 40, 40, "a" * 40),
        ("a" * 41, 40, "a" * 37 + "..."),
        ("€" * 20, 40, "€" * 20),
        ("€" * 21, 40, "€" * 18 + "..."),
        ("a" * 36 + " bcdef", 40, "a" * 36 + "..."),
        ("服" * 67, 153, "服" * 67),
        ("服" * 68, 153, "服" * 66 + "…"),
        ("🔥" * 34, 153, "🔥" * 33 + "…"),
    ],
)
def test_long_text_is_cut_by_what_its_letters_take(given_text, limit, sent):
    """Two septets for a bracket, two units for an emoji; never half a letter."""
    assert fitting(given_text, limit) == sent


@pytest.mark.parametrize(
    "dirty", ["a\nb", "a \t\r\n b", "a\u2028b", "a\x00b", "a\u200b b", "\u202ea b\x1b"]
)
def test_text_is_one_line_without_hidden_characters(dirty):
    """Neither lines nor directions nor escapes of a label reach the phone."""
    assert single_line(dirty) == "a b"


@given(st.text(), st.integers(40, 400))
def test_text_never_exceeds_its_parts(text, limit):
    """Whatever an alert holds, the price of a message is bounded."""
    sent = fitting(single_line(text), limit)

    if all(each in BASIC or each in EXTENDED for each in sent):
        assert sum(1 if each in BASIC else 2 for each in sent) <= limit
    else:
        assert len(sent.encode("utf-16-le")) // 2 <= limit * 67 // 153


def test_what_is_far_beyond_the_limit_is_not_looked_at():
    """A summary of a body's length must not hold up the probes' event loop."""
    assert fitting("a" * 400 + "服" * 80_000, 306) == "a" * 303 + "..."
