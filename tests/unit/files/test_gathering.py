"""Pieces of a body made larger."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.files.gathering import gathered

failures = st.sampled_from([None, ValueError, asyncio.CancelledError])


@given(st.lists(st.binary(max_size=9)), st.integers(1, 20), failures)
async def test_bytes_that_came_are_given_whatever_ends_them(chunks, size, failure):
    """All of them in order, then the error; none but the last is too small."""

    async def coming():
        for each in chunks:
            yield each
        if failure is not None:
            raise failure

    found: list[bytes] = []

    async def take() -> None:
        async for each in gathered(coming(), size):
            found.append(each)  # noqa: PERF401 - what comes before an error too

    if failure is None:
        await take()
    else:
        with pytest.raises(failure):
            await take()

    assert b"".join(found) == b"".join(chunks)
    assert all(size <= len(each) < size + 9 for each in found[:-1])
    assert all(found)
