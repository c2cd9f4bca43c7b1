"""Paths of files: one spelling of each, and none that leads out of the root."""

import os
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from service.files.disposition import content_disposition
from service.files.errors import InvalidPath
from service.files.paths import MAX_DEPTH, MAX_NAME, MAX_PATH, file_path

TRICKS = st.sampled_from(
    (
        *(
            "..",
            ".",
            "",
            "/",
            "\\",
            "\0",
            "CON",
            "com1.txt",
            "%2e",
            "\u00e9",
            "e\u0301",
        ),
        *("a", " ", "\u202e", "\n", ".uploads", "x" * 256, "~", "\ud800", "\uff0e" * 2),
        "\ufb01",
    )
)
TEXTS = st.one_of(
    st.text(max_size=300), st.lists(TRICKS, max_size=40).map("/".join), TRICKS
)


@given(TEXTS)
def test_accepted_path_stays_below_the_root(text):
    """Joined to any root and resolved by the system's rules, it is below it."""
    try:
        path = file_path(text)
    except InvalidPath:
        return
    names = path.split("/")

    assert os.path.normpath(f"/root/{path}") == f"/root/{path}"
    assert all(0 < len(name.encode()) <= MAX_NAME for name in names)
    assert len(path.encode()) <= MAX_PATH
    assert len(names) <= MAX_DEPTH
    assert names[0].casefold() != ".uploads"
    assert not any(unicodedata.category(char) == "Cc" for char in path)


@given(TEXTS)
def test_spelling_is_its_own_spelling(text):
    """What came out once comes out again, and both forms of a mark are one path."""
    try:
        path = file_path(text)
    except InvalidPath:
        return

    assert file_path(path) == path
    assert file_path(unicodedata.normalize("NFD", path)) == path


@given(st.text(max_size=200), st.booleans())
def test_row_60_no_name_leaves_its_parameter(name, shown):
    """Printable ASCII, one quoted string, and the encoded name is the name."""
    header = content_disposition(name, shown=shown)
    kind, _, rest = header.partition("; filename=")
    plain, _, encoded = rest[1:].partition('"')

    assert header.isascii()
    assert header.isprintable()
    assert kind == ("inline" if shown else "attachment")
    assert "\\" not in plain
    assert len(plain) == len(name)
    if encoded:
        assert encoded.startswith("; filename*=UTF-8''")
        assert not set(encoded[19:]) & set("\"'();, ")
    else:
        assert plain == name
