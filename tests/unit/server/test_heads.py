"""Heads of answers: framing is read, injection refused, the rest passed on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.server.heads import BadHeader, FixedHeaders, HeadWriter, finished


def lines(headers, status=200, fixed=None) -> list[bytes]:
    head = HeadWriter().head(status, headers, fixed)
    return finished(head.lines, head.block).split(b"\r\n")


def test_head_is_status_line_date_and_headers():
    """In this order, with an empty line at the end."""
    writer = HeadWriter()
    writer.tick(1_700_000_000)

    head = writer.head(404, [(b"x-one", b"1"), (b"X-Two", b"2")])

    assert finished(head.lines) == (
        b"HTTP/1.1 404 Not Found\r\ndate: Tue, 14 Nov 2023 22:13:20 GMT\r\n"
        b"x-one: 1\r\nX-Two: 2\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("status", "line"), [(299, b"299 "), (999, b"999 "), (418, None)]
)
def test_status_without_a_phrase_has_an_empty_one(status, line):
    """RFC 9112 §4: the space stays."""
    assert lines([], status)[0].startswith(b"HTTP/1.1 " + (line or b"418 I"))
    assert line is None or lines([], status)[0] == b"HTTP/1.1 " + line


@pytest.mark.parametrize("status", [0, 99, 1000, -1])
def test_status_that_is_none_is_no_head(status):
    """Three digits, or the application has failed."""
    with pytest.raises(LookupError):
        HeadWriter().head(status, [])


@pytest.mark.parametrize("name", [b"content-length", b"Content-Length"])
def test_length_is_read_and_left_to_the_listener(name):
    """It is said once, where it is known."""
    head = HeadWriter().head(200, [(name, b"12")])

    assert head.length == 12
    assert not any(b"12" in line for line in head.lines if b"date" not in line)


@pytest.mark.parametrize(
    "value", [b"", b"-1", b"+1", b" 1", b"1 ", b"1,1", b"0x1", b"\xb2"]
)
def test_length_that_is_no_number_is_refused(value):
    """Python reads more numbers than HTTP knows."""
    with pytest.raises(BadHeader):
        HeadWriter().head(200, [(b"content-length", value)])


@pytest.mark.parametrize(
    ("value", "close"), [(b"close", True), (b"Keep-Alive, Close", True), (b"x", False)]
)
def test_connection_is_read_and_left_out(value, close):
    """An application may ask to close, no more."""
    head = HeadWriter().head(200, [(b"Connection", value)])

    assert head.close is close
    assert len(head.lines) == 2


def test_coding_of_the_application_is_left_out():
    """Framing is the listener's business."""
    assert len(HeadWriter().head(200, [(b"Transfer-Encoding", b"chunked")]).lines) == 2


def test_date_of_the_application_replaces_the_clock():
    """There is one."""
    assert lines([(b"Date", b"now")])[1:] == [b"Date: now", b"", b""]


def test_fixed_headers_follow():
    """Their lines are ready and count as many."""
    fixed = FixedHeaders([(b"a", b"1"), (b"b", b"2")])

    assert lines([(b"x", b"0")], fixed=fixed)[2:] == [
        b"x: 0",
        b"a: 1",
        b"b: 2",
        b"",
        b"",
    ]
    assert fixed.names == {b"a", b"b"}


@pytest.mark.parametrize("bad", [b"\r", b"\n", b"\0", b"\r\n", b"\n\r"])
@pytest.mark.parametrize("where", ["value", "date", "fixed", "name"])
def test_injection_is_refused(bad, where):
    """No value makes a line of its own."""
    value = b"1" + bad + b"set-cookie: a=b"
    make = {
        "fixed": lambda: FixedHeaders([(b"a", value)]),
        "name": lambda: HeadWriter().head(200, [(value, b"1")]),
        "date": lambda: lines([(b"date", value)]),
        "value": lambda: lines([(b"x", value)]),
    }[where]

    with pytest.raises(BadHeader):
        make()


@pytest.mark.parametrize("name", [b"", b" ", b"a b", b"a:", b"\xe9", b"a\0", b"(a)"])
def test_name_that_is_no_token_is_refused_each_time(name):
    """What was refused is not remembered as good."""
    writer = HeadWriter()
    for _ in range(2):
        with pytest.raises(BadHeader):
            writer.head(200, [(name, b"1")])


def test_names_are_remembered_up_to_a_number():
    """A service that makes names up takes no memory for them."""
    writer = HeadWriter()
    for number in range(3000):
        writer.head(200, [(b"x-%d" % number, b"1")])

    assert len(writer._kinds) <= 1024
    assert len(writer.head(200, [(b"x-2999", b"1")]).lines) == 3


BYTES = st.lists(
    st.sampled_from([b"\r", b"\n", b"\0", b"\r\n", b": ", b"a", b"content-length"])
    | st.binary(max_size=2),
    max_size=5,
).map(b"".join)


@given(st.lists(st.tuples(BYTES, BYTES), max_size=4))
def test_head_has_as_many_lines_as_headers_or_is_refused(headers):
    """Whatever an application gives, no line is smuggled in."""
    try:
        head = HeadWriter().head(200, headers)
        raw = finished(head.lines, head.block)
    except BadHeader:
        return
    assert raw.count(b"\n") == raw.count(b"\r") == len(head.lines) + 1
    assert len(head.lines) <= len(headers) + 2
    assert b"\0" not in raw
