"""A line says everything, in one line, whatever it is given."""

import dataclasses
import datetime as dt
import json
from enum import Enum

import pytest
from pydantic import SecretStr

from service.observability.log_lines import (
    arranged,
    json_line,
    text_line,
    timestamp,
)


class Unspeakable:
    def __str__(self) -> str:
        raise RuntimeError("no")


@dataclasses.dataclass
class Account:
    name: str
    password: SecretStr


class Colour(Enum):
    RED = "red"


def circle() -> dict[str, object]:
    value: dict[str, object] = {}
    value["self"] = value
    return value


def nested(levels: int) -> list[object]:
    value: list[object] = []
    for _ in range(levels):
        value = [value]
    return value


def fields(**own: object) -> dict[str, object]:
    lead = {"timestamp": "T", "level": "info", "logger": "test", "event": "it"}
    return arranged(lead, own)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_700_000_000.25, "2023-11-14T22:13:20.250Z"),
        (1_700_000_000.9996, "2023-11-14T22:13:20.999Z"),
        (4_102_444_800.5, "2100-01-01T00:00:00.500Z"),
    ],
    ids=["epoch", "quarter", "never rounded into the next second", "far"],
)
def test_time_is_rfc3339_in_utc_with_milliseconds(seconds, text):
    """The timestamp is UTC, three decimals, Z."""
    assert timestamp(seconds) == text


def test_fields_can_not_overwrite_the_lead():
    """A field called like a leading key is kept under another name."""
    line = fields(level="fake", logger="fake", timestamp="fake", path="/")

    assert list(line) == [
        "timestamp", "level", "logger", "event",
        "level_", "logger_", "timestamp_", "path",
    ]  # fmt: skip
    assert line["level"] == "info"
    assert line["level_"] == "fake"


def test_json_keeps_the_order_of_the_fields():
    """Keys come in the order they were given."""
    assert json_line(fields(b=1, a=2)) == (
        b'{"timestamp":"T","level":"info","logger":"test","event":"it","b":1,"a":2}'
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (SecretStr("hunter2"), "**********"),
        ({"key": SecretStr("hunter2")}, {"key": "**********"}),
        ([SecretStr("hunter2")], ["**********"]),
        (Account("ann", SecretStr("hunter2")), {"name": "ann", "password": "*" * 10}),
        ({SecretStr("hunter2")}, "{SecretStr('**********')}"),
    ],
    ids=["bare", "in a dict", "in a list", "in a dataclass", "in a set"],
)
def test_secret_is_masked(value, said):
    """A secret never shows, wherever it is."""
    assert json.loads(json_line({"x": value}))["x"] == said
    assert b"hunter2" not in text_line({"x": value})


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (ValueError("bad"), "ValueError('bad')"),
        (b"\xff\x00", "b'\\xff\\x00'"),
        ({1}, "{1}"),
        (Unspeakable(), "<Unspeakable>"),
        (2**70, str(2**70)),
        (float("nan"), None),
        ("\ud800", "\\ud800"),
        ({1: "a", 0.5: "b"}, {"1": "a", "0.5": "b"}),
        ({(1, 2): "a"}, {"(1, 2)": "a"}),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (Colour.RED, "red"),
        ((1, "two"), [1, "two"]),
    ],
    ids=[
        "exception",
        "bytes",
        "set",
        "no text",
        "large",
        "nan",
        "surrogate",
        "odd keys",
        "tuple key",
        "date",
        "enum",
        "tuple",
    ],
)
def test_value_that_json_lacks_becomes_text(value, said):
    """Any value gives a line, and the nearest that JSON has."""
    assert json.loads(json_line({"x": value, "y": 1})) == {"x": said, "y": 1}


@pytest.mark.parametrize(
    "value",
    [circle(), [nested(20), 2**70], nested(2000)],
    ids=["circle", "deep", "deeper than orjson goes"],
)
def test_value_without_end_is_cut(value):
    """A circle or a pit gives a line, and the other fields are whole."""
    assert json.loads(json_line({"x": value, "status": 200}))["status"] == 200


def test_what_json_refuses_changes_no_other_field():
    """One bad value costs the types of no other."""
    line = json_line({"bad": "\udc80", "n": 1, "yes": True, "none": None, "f": 0.5})

    assert json.loads(line) == {
        "bad": "\\udc80", "n": 1, "yes": True, "none": None, "f": 0.5,
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["\n", "a\r\nb", "\x1b[31mred", "\x9b31m", "a\u2028b", "a\u0085b", "\x7f", "\0"],
    ids=ascii,
)
def test_control_characters_do_not_reach_the_terminal(text):
    """Neither form has a control character or a line end but its own."""
    as_json = json_line(fields(path=text)).decode()
    as_text = text_line(fields(path=text)).decode()

    assert as_json.isprintable()
    assert as_text.isprintable()
    assert json.loads(as_json)["path"] == text


def test_text_quotes_what_could_pass_for_a_field():
    """Spaces, quotes and equals signs stay inside of their value."""
    line = text_line(fields(path='/a b" level=error', agent="", user="ann"))

    assert line.decode() == (
        'T info test it path="/a b\\" level=error" agent="" user=ann'
    )


def test_text_quotes_a_message_with_spaces():
    """The message of a library is one word to a reader."""
    line = text_line({"timestamp": "T", "event": "Started process [1]", "x": 1})

    assert line == b'T "Started process [1]" x=1'


def test_trace_in_text_is_set_off_from_lines():
    """No line of a trace can pass for a line of the log."""
    line = text_line(fields(exception="Traceback\nValueError: x\nT error fake \x1b"))

    assert line.decode().split("\n") == [
        "T info test it",
        "  | Traceback",
        "  | ValueError: x",
        "  | T error fake \\x1b",
    ]


def test_trace_in_json_is_one_line():
    """The line ends of a trace are escaped."""
    line = json_line(fields(exception="Traceback\nValueError: x"))

    assert b"\n" not in line
