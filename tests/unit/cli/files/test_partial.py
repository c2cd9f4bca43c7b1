"""A download on its way: what came is kept, and nothing else is taken for it."""

import asyncio
import fcntl
import hashlib
import json
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.cli.files.partial import InUse, Partial, kept
from service.cli.files.service import Info

CONTENT = bytes(range(1, 201))
INFO = Info(size=len(CONTENT), etag='"1"')


class Stopped(Exception):
    """Ends a download."""


def stopped(target: Path, *, parts: int, came: list[int]):
    """Let some bytes of each part come, end it, and return what it lacked before."""
    with suppress(Stopped), Partial(target, INFO, parts=parts) as partial:
        began = [[*part] for part in partial.missing]
        for part, size in zip(partial.missing, came, strict=False):
            partial.write(CONTENT[part[0] : min(part[0] + size, part[1])], part)
        raise Stopped
    return began


@given(
    parts=st.integers(1, 6),
    runs=st.lists(st.lists(st.integers(0, 60), max_size=6), max_size=4),
)
@settings(max_examples=100, deadline=None)
def test_what_came_is_never_asked_for_again(parts, runs):
    """Whichever parts got nothing, and however often it is stopped."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "copy"
        lacked = len(CONTENT)
        for came in runs:
            began = stopped(target, parts=parts, came=came)
            assert sum(b - a for a, b in began) == lacked
            pairs = zip(began, came, strict=False)
            lacked -= sum(min(b - a, size) for (a, b), size in pairs)
        with Partial(target, INFO, parts=parts) as partial:
            assert INFO.size - partial.have == lacked
            for part in partial.missing:
                partial.write(CONTENT[part[0] : part[1]], part)
            asyncio.run(partial.finish())
        assert target.read_bytes() == CONTENT
        assert [*Path(folder).iterdir()] == [target]


@pytest.mark.parametrize(
    "note",
    [
        "",
        "{",
        "[]",
        '{"etag": "\\"1\\"", "size": 200}',
        '{"etag": "\\"2\\"", "size": 200, "missing": [[100, 200]]}',
        '{"etag": "\\"1\\"", "size": 300, "missing": [[100, 200]]}',
        '{"etag": "\\"1\\"", "size": 200, "missing": [[100, 300]]}',
        '{"etag": "\\"1\\"", "size": 200, "missing": [[-1, 200]]}',
        '{"etag": "\\"1\\"", "size": 200, "missing": [[150, 200], [0, 10]]}',
        '{"etag": "\\"1\\"", "size": 200, "missing": []}',
        '{"etag": "\\"1\\"", "size": 200, "missing": [[0, 100]]}',
        '{"etag": "\\"1\\"", "size": 200, "missing": [["a", 200]]}',
        '{"etag": "\\"1\\"", "size": 200, "missing": [[Infinity, 200]]}',
        "[" * 100_000,
    ],
)
def test_note_that_does_not_fit_is_not_believed(tmp_path, note):
    """It is of another version, damaged, or tells of bytes that the file lacks."""
    stopped(tmp_path / "copy", parts=1, came=[100])
    (tmp_path / "copy.part.json").write_text(note)
    with Partial(tmp_path / "copy", INFO, parts=1) as partial:
        assert partial.missing == [[0, 200]]


def test_bytes_that_were_cut_off_are_asked_for_again(tmp_path):
    """The part is shorter than its note tells."""
    stopped(tmp_path / "copy", parts=2, came=[100, 50])
    told = json.loads((tmp_path / "copy.part.json").read_text())
    assert told["missing"] == [[150, 200]]
    with (tmp_path / "copy.part").open("r+b") as part:
        part.truncate(149)
    with Partial(tmp_path / "copy", INFO, parts=1) as partial:
        assert partial.missing == [[0, 200]]


def test_one_download_writes_a_file(tmp_path):
    """The other is refused, and takes nothing away."""
    with Partial(tmp_path / "copy", INFO, parts=1) as partial:
        partial.write(CONTENT[:10], partial.missing[0])
        with pytest.raises(InUse), Partial(tmp_path / "copy", INFO, parts=1):
            pass
        assert partial.path.stat().st_size == 10


def taken(target: Path, meanwhile: Callable[[], object] = int) -> None:
    """Download all at once."""
    with Partial(target, INFO, parts=1) as partial:
        partial.write(CONTENT, partial.missing[0])
        meanwhile()
        asyncio.run(partial.finish())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("copy.part", b""),
        ("copy.part", b"theirs"),
        ("copy.part.json", b"theirs"),
        ("copy.part.json", b"{}"),
    ],
)
def test_file_of_another_that_has_the_name_of_a_part_stays(tmp_path, name, content):
    """What is being downloaded is kept beside it, and gone on with from there."""
    (tmp_path / name).write_bytes(content)
    stopped(tmp_path / "copy", parts=1, came=[100])
    left = kept(tmp_path / "copy")
    with Partial(tmp_path / "copy", INFO, parts=1) as partial:
        assert partial.missing == [[100, 200]]
        partial.write(CONTENT[100:], partial.missing[0])
        asyncio.run(partial.finish())

    assert left == (tmp_path / "copy.2.part", 100)
    assert (tmp_path / name).read_bytes() == content
    assert (tmp_path / "copy").read_bytes() == CONTENT
    assert {each.name for each in tmp_path.iterdir()} == {"copy", name}


def test_another_file_in_the_place_of_a_part_is_not_taken_for_it(tmp_path):
    """It is left alone, and no note makes it ours."""
    with pytest.raises(InUse):
        taken(tmp_path / "copy", meanwhile=lambda: taken(tmp_path / "copy.part"))
    assert [each.name for each in tmp_path.iterdir()] == ["copy.part"]
    assert (tmp_path / "copy.part").read_bytes() == CONTENT


def test_download_that_ends_while_another_begins_is_left_whole(tmp_path, monkeypatch):
    """Between the opening and the lock the file was given its name."""
    lock, ending = fcntl.flock, ExitStack()
    first = ending.enter_context(Partial(tmp_path / "copy", INFO, parts=1))
    first.write(CONTENT, first.missing[0])

    def slow(file: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        asyncio.run(first.finish())
        ending.close()
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", slow)
    with suppress(Stopped), Partial(tmp_path / "copy", INFO, parts=1) as second:
        assert second.missing == [[0, 200]]
        raise Stopped
    assert (tmp_path / "copy").read_bytes() == CONTENT


@pytest.mark.parametrize("size", [1, 238, 239, 255])
@pytest.mark.parametrize("letter", ["n", "ü"])
def test_name_of_any_length_can_be_got_and_gone_on_with(tmp_path, size, letter):
    """Up to the longest that a file may have."""
    target = tmp_path / (letter * (size // len(letter.encode())) or "n")
    stopped(target, parts=1, came=[100])
    assert kept(target)[1] == 100
    stopped(target.with_name(f"{target.name[:-1]}o"), parts=1, came=[10])
    with Partial(target, INFO, parts=1) as partial:
        assert partial.missing == [[100, 200]]


def test_link_in_a_circle_is_replaced(tmp_path):
    """It leads to no file that could be kept."""
    (tmp_path / "copy").symlink_to("copy")
    taken(tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == CONTENT


async def test_cancelled_end_neither_reads_nor_removes_what_comes_after(tmp_path):
    """A descriptor may be another file's when it is closed."""
    content = bytes(64 << 20)
    digests = {"sha-256": hashlib.sha256(content).digest()}
    info = Info(size=len(content), etag='"1"', digests=digests)
    with suppress(asyncio.CancelledError):
        with Partial(tmp_path / "copy", info, parts=1) as partial:
            partial.write(content, partial.missing[0])
            ending = asyncio.create_task(partial.finish())
            await asyncio.sleep(0)
            ending.cancel()
            await ending
    (tmp_path / "short").write_bytes(b"short")
    with (tmp_path / "short").open():  # has the descriptor now
        await asyncio.get_running_loop().shutdown_default_executor()
    assert kept(tmp_path / "copy") == (tmp_path / "copy.part", len(content))
