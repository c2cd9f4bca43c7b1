"""Answers into files: whole, or gone on with where they broke."""

import asyncio
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.client.errors import InvalidAnswer
from service.getting.saving import NothingToDo, range_from, save

CONTENT = bytes(range(1, 101))


class Cut(Exception):
    """Ends an answer."""


def answered(status: int, body: bytes, *, cut: bool = False, **headers: str):
    """Return an answer whose body comes in pieces."""

    async def chunks():
        for start in range(0, len(body), 7):
            yield body[start : start + 7]
        if cut:
            raise Cut

    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return SimpleNamespace(status=status, headers=named, chunks=chunks, upstream="x")


def served(file: Path, *, ranges: bool, most: int):
    """Return what a server answers to what the file lacks; it breaks after *most*."""
    asked = dict(range_from(file)).get("range")
    if asked is None or not ranges:
        return answered(200, CONTENT[:most], cut=most < len(CONTENT))
    start = int(asked.removeprefix("bytes=").removesuffix("-"))
    if start >= len(CONTENT):
        return answered(416, b"", content_range=f"bytes */{len(CONTENT)}")
    part = CONTENT[start : start + most]
    told = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
    cut = start + most < len(CONTENT)
    return answered(206, part, cut=cut, content_range=told)


@given(cuts=st.lists(st.tuples(st.booleans(), st.integers(0, 120)), max_size=6))
def test_file_is_whole_whenever_an_answer_came_to_its_end(cuts):
    """However often it broke before, and whether the server has parts or not."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "copy"
        for ranges, most in [*cuts, (True, len(CONTENT))]:
            answer = served(file, ranges=ranges, most=most)
            with suppress(Cut):
                try:
                    asyncio.run(save(answer, file, resume=True, bar=False))
                except NothingToDo:
                    assert file.stat().st_size == len(CONTENT)
                assert file.read_bytes() == CONTENT
            if file.exists():
                assert CONTENT.startswith(file.read_bytes())
        assert file.read_bytes() == CONTENT


@pytest.mark.parametrize("there", [None, b"", b"old", b"o" * 500])
async def test_part_of_ones_own_choice_is_the_whole_file(tmp_path, there):
    """Nothing of what was there stays: nobody asked to go on with it."""
    file = tmp_path / "part"
    if there is not None:
        file.write_bytes(there)
    part = answered(206, b"part", content_range="bytes 100-103/500")

    assert await save(part, file, resume=False, bar=False)
    assert file.read_bytes() == b"part"
    refused = answered(416, b"", content_range="bytes */4")
    assert not await save(refused, file, resume=False, bar=False)


@pytest.mark.parametrize(
    "told",
    ["", "bytes 4-9/10", "bytes 0-9", "lines 3-4/5", "bytes 9-/10", f"bytes {10**30}-"],
)
async def test_other_part_than_was_asked_for_is_refused(tmp_path, told):
    """The file stays as it is."""
    file = tmp_path / "copy"
    file.write_bytes(b"abc")
    answer = answered(206, b"x", content_range=told)
    with pytest.raises(InvalidAnswer):
        await save(answer, file, resume=True, bar=False)
    assert file.read_bytes() == b"abc"


async def test_device_and_pipe_can_be_written(tmp_path):
    """They have no place that could be sought."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    for each in (Path(os.devnull), pipe):
        for resume in (True, False):
            assert await save(answered(200, b"all"), each, resume=resume, bar=False)
    assert os.read(reader, 99) == b"allall"
    os.close(reader)
