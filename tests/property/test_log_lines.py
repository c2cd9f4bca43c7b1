"""Whatever a record holds, it is one short line that can be read back."""

import json
import logging

from hypothesis import given
from hypothesis import strategies as st

from service.observability.access_log import AccessLog
from service.observability.log_lines import LONGEST, json_line, text_line
from service.observability.logging import get_logger
from tests.support.log import logged, unseen

LINE = {"timestamp": "t", "level": "info", "logger": "x", "event": "told"}

TEXTS = st.text(st.characters(exclude_categories=())) | st.sampled_from(
    ["\n", "\r\n", "\x1b[2K", "\x9b31m", "\u2028", "\u2029", "\x85", "\ud800", "\0", ""]
)
"""Any text at all: control characters and lone surrogates too."""

VALUES = st.recursive(
    TEXTS | st.integers() | st.floats() | st.binary() | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner),
    max_leaves=8,
)


def told(text: str) -> str:
    """The text as UTF-8 can tell it."""
    return text.encode("utf-8", "backslashreplace").decode()


@given(key=TEXTS, value=TEXTS, message=TEXTS)
def test_any_text_anywhere_is_one_line_and_nothing_is_lost(key, value, message):
    """Events of ours and records of libraries: one line each, and all of the text."""
    with logged() as log:
        get_logger("x").info(message, **{f"_{key}": value})
        logging.getLogger("y").info("%s", message, extra={"given": value})

    assert log.text.count("\n") == 2
    assert unseen(log.text.replace("\n", "")) == []
    ours, theirs = log.lines
    assert ours["event"] == theirs["event"] == told(message)
    assert ours[told(f"_{key}")] == theirs["given"] == told(value)


@given(key=TEXTS, value=TEXTS, message=TEXTS, path=TEXTS)
def test_any_text_anywhere_is_one_line_for_people(key, value, message, path):
    """The form for a terminal can't be forged either."""
    with logged(format="console") as log:
        get_logger("x").info(message, **{f"_{key}": value})
        logging.getLogger("y").info("%s", message, extra={"given": value})
        AccessLog().write(
            method="GET", route="", path=path, status=404, duration=0.1, bytes=0,
            client=value, request_id=key,
        )  # fmt: skip

    assert log.text.count("\n") == 3
    assert unseen(log.text.replace("\n", "")) == []


@given(fields=st.dictionaries(TEXTS.map("_{}".format), VALUES, max_size=4))
def test_any_value_is_one_line_of_either_form(fields):
    """Values of any depth and type, those that JSON has no word for included."""
    as_json = json_line({**LINE, **fields}).decode()
    as_text = text_line({**LINE, **fields}).decode()

    assert unseen(as_json) == unseen(as_text) == []
    assert list(json.loads(as_json))[:4] == list(LINE)


@given(key=TEXTS, value=TEXTS | st.integers() | st.floats(), times=st.integers(1, 9999))
def test_no_line_is_longer_than_its_limit(key, value, times):
    """What is cut can still be read, and the lead is always there."""
    line = json_line({**LINE, f"_{key}": value, "_many": [value] * times})

    assert len(line) <= LONGEST
    assert list(json.loads(line))[:4] == list(LINE)
