"""Records as JSON: read as they were written, and nothing else is taken for one."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.cli.log.forms import as_json, from_json
from service.commitlog.record import Record

headers = st.lists(st.tuples(st.text(), st.binary()), max_size=3).map(tuple)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.just("YQ=="),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


@given(st.binary(), st.none() | st.binary(), headers)
def test_record_is_read_as_it_was_written(value, key, headers):
    """Whatever bytes it has."""
    record = Record(value, key, headers)
    assert from_json(as_json(record).encode()) == record


@given(values, values, values)
def test_what_is_no_record_is_refused(value, key, headers):
    """With a word for its author, whatever JSON it is."""
    line = json.dumps({"value": value, "key": key, "headers": headers}).encode()
    with suppress(ValueError):
        record = from_json(line)
        assert from_json(as_json(record).encode()) == record


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        b"1" * 5000,
        b'{"value": "a"}',
        '{"value": "ü"}'.encode(),
        b'{"value": "", "more": 1}',
        b'{"value": "", "headers": [["\\ud800", ""]]}',
        b'{"value": "", "headers": [["a"]]}',
        b'{"value": "", "headers": {"a": ""}}',
    ],
    ids=range(12),
)
def test_line_that_is_no_record_is_refused(line):
    """JSON has strings that are no text."""
    with pytest.raises(ValueError, match=r"."):
        from_json(line)
