"""A difference is told in one line, however long the sequences are."""

import pytest

from tests.support.comparing import difference

LINES = [f"line {n}" for n in range(30_000)]


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (LINES, ""),
        (LINES[:100] + LINES[103:], "3 missing ['line 100', 'line 101', 'line 102']"),
        (LINES[:100] + LINES[99:], "1 too many ['line 99']"),
        ([*LINES[:98], LINES[99], LINES[98], *LINES[100:]], "from 98 on ['line 99'"),
        (LINES[:-1], "from 29999 on [] instead of ['line 29999']"),
        ([], "0 instead of 30000"),
    ],
    ids=["same", "missing", "twice", "order", "end", "nothing"],
)
def test_difference_is_told_in_one_short_line(found, told):
    """What is missing, too many and out of order, the first of each."""
    text = difference(found, LINES)

    assert told in text
    assert bool(text) == bool(told)
    assert len(text) < 400
    assert "\n" not in text
