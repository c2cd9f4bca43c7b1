"""Files below a root, while others replace them."""

import os

from service.files.tree import is_servable


def test_file_that_was_replaced_after_it_was_opened_is_served(tmp_path):
    """A reader got a 404 for a file that was there all the time."""
    (tmp_path / "f").write_bytes(b"old")
    (tmp_path / "new").write_bytes(b"new")
    with (tmp_path / "f").open("rb") as opened:
        (tmp_path / "new").replace(tmp_path / "f")
        assert is_servable(os.fstat(opened.fileno()))
    os.link(tmp_path / "f", tmp_path / "other")
    assert not is_servable((tmp_path / "f").stat())
