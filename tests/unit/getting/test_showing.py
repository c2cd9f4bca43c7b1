"""Answers on a terminal: text, whatever the server calls it."""

import encodings
import pkgutil
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.getting.showing import Binary, show_body

CHARSETS = sorted(each.name for each in pkgutil.iter_modules(encodings.__path__))


async def shown(*chunks: bytes, kind: str = "text/plain", charset: str | None) -> str:
    """Return what a terminal is sent."""

    async def coming():
        for each in chunks:
            yield each

    answer = SimpleNamespace(
        headers={"content-type": kind}, charset=charset, chunks=coming
    )
    written: list[bytes] = []
    await show_body(answer, written.append, terminal=True)
    return b"".join(written).decode()


@pytest.mark.parametrize("charset", [*CHARSETS, "", "no such", "ü", "x" * 300, None])
async def test_charset_that_is_told_breaks_nothing(charset):
    """Python has codecs that make no text, and one that always fails."""
    for body in ([b"789c", b"abc\n"], [b"\xff\xfe", b"\x9c"], [b"a"]):
        try:
            text = await shown(*body, charset=charset)
        except Binary:
            continue
        assert text.endswith("\n")


@pytest.mark.parametrize("kind", ["text/plain", "application/json"])
@given(st.lists(st.one_of(st.binary(), st.text().map(str.encode))))
async def test_terminal_gets_nothing_that_it_would_obey(kind, chunks):
    """Wherever a character is cut."""
    try:
        text = await shown(*chunks, kind=kind, charset=None)
    except Binary:
        return
    assert all(each.isprintable() or each in "\n\t" for each in text)
