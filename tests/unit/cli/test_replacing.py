"""Files that a command writes: whole, or as they were."""

import os
from pathlib import Path

import pytest

from service.cli.replacing import replacing


class Stopped(Exception):
    """Ends a block."""


def written(path: Path, text: bytes) -> None:
    with replacing(path) as file:
        file.write(text)


def stopped(path: Path) -> None:
    with replacing(path) as file:
        file.write(b"half")
        raise Stopped


@pytest.mark.parametrize("old", [None, b"", b"old"])
def test_file_takes_its_place_at_the_end_alone(tmp_path, old):
    """Until then, and if there is none, what was there stays; nothing is left over."""
    file = tmp_path / "file"
    if old is not None:
        file.write_bytes(old)
    with pytest.raises(Stopped):
        stopped(file)
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [old] * (
        old is not None
    )
    written(file, b"new")

    assert [*tmp_path.iterdir()] == [file]
    assert file.read_bytes() == b"new"
    assert file.stat().st_mode & 0o777 == 0o600


def test_link_stays_one_unless_it_leads_nowhere(tmp_path):
    """What it leads to is replaced; one that leads to itself is no file."""
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "loop").symlink_to("loop")
    for each in ("link", "loop"):
        written(tmp_path / each, b"new")

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"new"
    assert (tmp_path / "loop").read_bytes() == b"new"


def test_device_is_written_as_it_is():
    """It can't be replaced."""
    written(Path("/dev/null"), b"new")
    assert Path("/dev/null").is_char_device()


def test_pipe_is_written_as_it_is():
    """The name of an open one is a link to no path at all, as a shell's `>(…)`."""
    reading, writing = os.pipe()
    try:
        written(Path(f"/dev/fd/{writing}"), b"new")
        assert os.read(reading, 9) == b"new"
    finally:
        os.close(reading)
        os.close(writing)
