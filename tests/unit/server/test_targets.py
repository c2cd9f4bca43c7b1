"""A request target has one reading or none."""

from urllib.parse import quote, quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.server.targets import BadTarget, Target, parse_target

READ = {
    b"/": "/",
    b"/a": "/a",
    b"/a/": "/a/",
    b"/a//b///c": "/a/b/c",
    b"//": "/",
    b"//host/a": "/host/a",
    b"/caf%C3%A9": "/café",
    b"/caf\xc3\xa9": "/café",
    b"/a%20b": "/a b",
    b"/%41": "/A",
    b"/a+b": "/a+b",
    b"/%252e%252e/": "/%2e%2e/",
    b"/%252f": "/%2f",
    b"/.well-known/x": "/.well-known/x",
    b"/...": "/...",
    b"/a..b": "/a..b",
    b"/a.": "/a.",
    b"*": "*",
    b"/" + b"a" * 300: "/" + "a" * 300,
}

REFUSED = [
    b"",
    b"a",
    b"?x",
    b"**",
    b"/.",
    b"/..",
    b"/./",
    b"/a/../b",
    b"/a/..",
    b"/%2e",
    b"/%2E%2e/x",
    b"/.%2e/x",
    b"/a%2fb",
    b"/a%2Fb",
    b"/a%5cb",
    b"/a%5Cb",
    b"/a\\b",
    b"/%00",
    b"/a%0d%0ab",
    b"/%7f",
    b"/%ff",
    b"/%c0%ae",
    b"/%ed%a0%80",
    b"/%",
    b"/%4",
    b"/%zz",
    b"/a#b",
    b"/%41?b#c",
    b"/a?b#c",
    b"http://a/../b",
    b"http://a/%2f",
    b"http://a/#x",
    b"ftp://a/",
    b"//" + b"a" * 300 + b"/..",
]

PIECES = [b"/", b".", b"..", b"a", b"%2e", b"%2F", b"%5c", b"%00", b"\\", b"%25", b"%"]

TARGETS = st.lists(
    st.sampled_from(PIECES)
    | st.binary(max_size=3)
    | st.text(max_size=3).map(str.encode),
    max_size=12,
).map(b"".join)


@pytest.mark.parametrize(("target", "path"), READ.items())
def test_target_with_one_reading_is_read(target, path):
    """Decoded once, slashes merged."""
    assert parse_target(target) == Target(path, target, b"")


@pytest.mark.parametrize("target", REFUSED)
def test_ambiguous_target_is_refused_without_an_echo(target):
    """What programs read in different ways is read by nobody."""
    for _ in range(2):  # a refusal is not forgotten
        with pytest.raises(BadTarget, match=r"^The (path|request target) .*\.$"):
            parse_target(target)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/a?b=%2f..%00\\", Target("/a", b"/a", b"b=%2f..%00\\")),
        (b"/a?b?c", Target("/a", b"/a", b"b?c")),
        (b"http://h", Target("/", b"/", b"", b"h")),
        (b"HTTPS://h:1/a//b?c", Target("/a/b", b"/a//b", b"c", b"h:1")),
        (b"http://h?x", Target("/", b"/", b"x", b"h")),
        (b"http:///a", Target("/a", b"/a", b"", b"")),
        (b"http://u@h/", Target("/", b"/", b"", b"u@h")),
    ],
)
def test_target_is_split(target, expected):
    """The query stays as it came; the absolute form names its host."""
    assert parse_target(target) == expected


@given(TARGETS.map(lambda tail: b"/" + tail))
def test_whatever_is_accepted_means_the_same_to_everybody(target):
    """No dot segment, NUL, backslash or double slash; and decoding is stable."""
    try:
        found = parse_target(target)
    except BadTarget:
        return
    assert found.path.startswith("/")
    assert "//" not in found.path
    assert not {".", ".."} & set(found.path.split("/"))
    assert not any(each < " " or each in "\x7f\\" for each in found.path)
    again = parse_target(quote(found.path).encode())
    assert again.path == found.path
    assert (
        parse_target(quote_from_bytes(target.partition(b"?")[0], "/%").encode())[0]
        == found.path
    )


@given(st.binary(max_size=20))
def test_any_bytes_are_read_or_refused(target):
    """Nothing else is ever raised."""
    try:
        found = parse_target(target)
    except BadTarget:
        return
    assert found.path == "*" or found.path.startswith("/")


SEGMENT = st.text(
    st.characters(min_codepoint=0x20, exclude_characters="\x7f/\\", codec="utf-8"),
    min_size=1,
    max_size=8,
).filter(lambda segment: segment not in (".", ".."))


@given(st.lists(SEGMENT, max_size=4))
def test_path_in_utf8_comes_back(segments):
    """Whatever a client encodes is what the handler sees."""
    path = "/" + "/".join(segments)

    assert parse_target(quote(path).encode()).path == path
