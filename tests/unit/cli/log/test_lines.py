"""Lines of a pipe: all of them, in order, however they come."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.cli.log.lines import _LONGEST, BadLine, groups


async def lines_of(pieces: list[bytes], most: int) -> list[list[bytes]]:
    """Return the groups of what comes in *pieces*."""
    coming = iter([each for each in pieces if each])
    file = os.open(os.devnull, os.O_RDONLY)
    try:
        read = lambda _file, _size: next(coming, b"")  # noqa: E731 - one expression
        return [each async for each in groups(file, most, read=read)]
    finally:
        os.close(file)


@given(st.lists(st.text("a\n").map(str.encode)), st.integers(1, 4))
async def test_lines_are_those_of_the_whole(pieces, most):
    """Wherever it is cut; the last one needs no end."""
    found = await lines_of(pieces, most)
    whole = b"".join(pieces)
    expected = whole.split(b"\n")
    if not expected[-1]:
        expected.pop()

    assert [line for group in found for line in group] == expected
    assert all(0 < len(group) <= most for group in found)


async def test_line_that_is_too_long_is_told_by_its_number():
    """Those before it are given."""
    pieces = [b"a\nb", b"c\nd", *[b"x" * 65_536] * (_LONGEST // 65_536 + 1)]
    with pytest.raises(BadLine, match="line 3"):
        await lines_of(pieces, 10)
