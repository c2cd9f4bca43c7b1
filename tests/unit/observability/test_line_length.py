"""A line has a greatest length, and says what was cut."""

import json

import pytest
from structlog.contextvars import bound_contextvars

from service.observability.access_log import AccessLog
from service.observability.log_lines import LONGEST, json_line, text_line
from service.observability.logging import get_logger
from tests.support.log import logged

LINE = {"timestamp": "t", "level": "info", "logger": "x", "event": "told"}

RENDERERS = pytest.mark.parametrize("render", [json_line, text_line])

REQUEST = {
    "method": "GET",
    "route": "",
    "path": "/",
    "status": 404,
    "duration": 0.001,
    "bytes": 0,
    "client": "::1",
    "request_id": "r",
}


@RENDERERS
def test_line_of_the_greatest_length_is_left_alone(render):
    """The limit itself is allowed, in bytes; one more is not."""
    room = LONGEST - len(render({**LINE, "text": "x"})) + 1
    whole = render({**LINE, "text": "x" * room})
    longer = render({**LINE, "text": "x" * (room + 1)})

    assert len(whole) == LONGEST
    assert b"truncated" not in whole
    assert len(longer) < LONGEST
    assert b"truncated" in longer


def test_long_value_keeps_its_begin_and_end_and_the_rest_of_the_line():
    """A trace says most in its last lines; short fields are as they were."""
    trace = "begin\n" + "x" * 100_000 + "\nend"
    fields = {**LINE, "exception": trace, "answer": 42}
    line = json.loads(json_line(fields))

    assert list(line) == [*fields, "truncated"]
    assert line["answer"] == 42
    assert line["exception"].startswith("begin\nxxx")
    assert line["exception"].endswith("xxx\nend")
    assert "characters cut]…" in line["exception"]
    assert line["truncated"] > 100_000


@RENDERERS
@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"a": "\x9b" * 50_000}, id="escapes"),
        pytest.param({"a": "\ud800" * 50_000}, id="surrogates"),
        pytest.param({"a": "€" * 50_000}, id="wide"),
        pytest.param({"a": list(range(50_000))}, id="list"),
        pytest.param({"a": {"b": {"c": "x" * 50_000}}}, id="nested"),
        pytest.param({"a": b"\0" * 50_000}, id="bytes"),
        pytest.param({"a" * 50_000: 1}, id="key"),
        pytest.param({f"a{n}": "x" for n in range(5_000)}, id="many"),
        pytest.param({"event": "x" * 50_000}, id="event"),
        pytest.param(dict.fromkeys(LINE, "\x9b" * 50_000), id="lead"),
        pytest.param({"exception": "x\n" * 50_000}, id="trace"),
    ],
)
def test_nothing_makes_a_line_longer(render, fields):
    """However many and whatever fields there are, the line ends in time."""
    line = render({**LINE, **fields})

    assert len(line) <= LONGEST
    assert b"truncated" in line
    if render is json_line:
        assert list(json.loads(line))[:4] == list(LINE)


def test_long_path_of_a_request_is_cut_too(log):
    """Clients choose how long a path is; the line stays whole JSON."""
    AccessLog().write(**REQUEST | {"path": "/" + "x" * 60_000})
    get_logger("x").info("next")

    cut, following = log.lines
    assert (cut["status"], cut["request_id"]) == (404, "r")
    assert len(log.text.splitlines()[0]) <= LONGEST
    assert following["event"] == "next"


def fail(depth, password):
    raise RuntimeError("no luck " + "x" * depth)


def test_exception_tells_no_local_variable(log):
    """A trace, cut or whole, has lines of code, not what variables held."""
    for depth in (1, 100_000):
        try:
            fail(depth, password="hunter" + "2")
        except RuntimeError as error:
            get_logger("x").error("failed", exc_info=error)

    assert "hunter2" not in log.text
    assert ["truncated" in line for line in log.lines] == [False, True]


def test_what_a_worker_binds_is_on_its_access_lines():
    """The number of a worker is on these lines as on all others, in both forms."""
    with bound_contextvars(worker=7, level="none"):
        access = AccessLog()
    with logged() as lines:
        access.write(**REQUEST)
    with logged(format="console") as words:
        access.write(**REQUEST)

    (line,) = lines.lines
    assert (line["worker"], line["level"]) == (7, "info")
    assert " worker=7 " in words.text
