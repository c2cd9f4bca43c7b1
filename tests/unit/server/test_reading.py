"""Bodies are read strictly: what is malformed is the client's error."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import BadRequest, ContentTooLarge
from service.server.reading import (
    MAX_JSON_DEPTH,
    ClientDisconnected,
    body_bytes,
    json_value,
)


def receiver(*messages):
    waiting = list(messages)

    async def receive():
        return waiting.pop(0)

    return receive


def chunk(body: bytes, *, more: bool = False):
    return {"type": "http.request", "body": body, "more_body": more}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{a}",
        b"[" * 60_000,
        b'{"a":' * 100 + b"1" + b"}" * 100,
        b"\xff\xfe",
        b"\x1f\x8b\x08\x00",
        b"1" * 5_000,
        b'{"a":NaN}',
        b"[Infinity]",
        b"1e400",
        b"-1e400",
        b'"\\ud800"',
        b'{"\\udfff":1}',
        b'{"a":1,"a":2}',
        b"{} {}",
    ],
)
def test_malformed_json_is_a_bad_request(body):
    """Each of the known traps of Python's reader is a 400 that echoes nothing."""
    with pytest.raises(BadRequest) as caught:
        json_value(body)

    assert len(caught.value.detail) < 120


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_json_round_trip(value):
    """Whatever is JSON is read as it is."""
    for ascii_only in (True, False):
        text = json.dumps(value, ensure_ascii=ascii_only)
        if "\\ud" in text and not ascii_only:
            continue
        assert json_value(text.encode("utf-8", "surrogatepass")) == value


@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_a_bad_request(body):
    """No body raises anything else."""
    with contextlib.suppress(BadRequest):
        json_value(body)


def test_brackets_in_strings_are_no_nesting():
    """Depth counts structure alone."""
    value = ["[" * 1000, '"' + "{" * 1000]

    assert json_value(json.dumps(value).encode()) == value


def test_depth_up_to_the_limit_is_read():
    """The limit itself is allowed, one more is not."""
    deepest = b"[" * MAX_JSON_DEPTH + b"]" * MAX_JSON_DEPTH

    json_value(deepest)
    with pytest.raises(BadRequest, match="deeper"):
        json_value(b"[" + deepest + b"]")


async def test_chunked_body_is_joined():
    """Pieces make one body."""
    receive = receiver(chunk(b"ab", more=True), chunk(b"cd"))

    assert await body_bytes(receive, length=None, limit=4) == b"abcd"


async def test_announced_body_above_the_limit_is_refused_unread():
    """Nothing is read of a body that is announced as too large."""
    with pytest.raises(ContentTooLarge) as caught:
        await body_bytes(receiver(), length="5", limit=4)

    assert caught.value.headers == {"connection": "close"}


async def test_chunked_body_above_the_limit_is_refused():
    """A body that grows past the limit is not collected."""
    receive = receiver(chunk(b"abc", more=True), chunk(b"de", more=True))

    with pytest.raises(ContentTooLarge):
        await body_bytes(receive, length=None, limit=4)


async def test_client_that_leaves_is_told_apart():
    """A disconnect is no empty body."""
    receive = receiver(chunk(b"a", more=True), {"type": "http.disconnect"})

    with pytest.raises(ClientDisconnected):
        await body_bytes(receive, length=None, limit=4)
