"""Every record of the process is one line of one form, whatever it holds."""

import asyncio
import datetime as dt
import logging
import re
import warnings

import pytest
from pydantic import SecretStr
from structlog.contextvars import bound_contextvars

from service.observability import logging as log_setup
from tests.support.log import logged, unseen

LEAD = ["timestamp", "level", "logger", "event"]

FORGED = 'a\n{"level":"error","event":"forged"}\x1b[1A\r\u2028b'


# -- the form --------------------------------------------------------------------


def test_event_is_one_line_of_json_with_its_lead_first(log):
    """Timestamp, level, logger and event lead; fields follow as they were given."""
    log_setup.get_logger("httpserver.test").warning("disk_full", size=3, path="/x")

    assert log.text.count("\n") == 1
    (line,) = log.lines
    assert list(line) == [*LEAD, "size", "path"]
    assert line["level"] == "warning"
    assert line["logger"] == "httpserver.test"
    assert line["event"] == "disk_full"
    assert (line["size"], line["path"]) == (3, "/x")


def test_timestamp_is_rfc_3339_in_utc(log):
    """It has milliseconds, ends in Z and is the time of the event."""
    before = dt.datetime.now(dt.UTC)
    log_setup.get_logger("x").info("now")
    after = dt.datetime.now(dt.UTC)

    stamp = log.lines[0]["timestamp"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", stamp)
    millisecond = dt.timedelta(milliseconds=1)
    assert before - millisecond <= dt.datetime.fromisoformat(stamp) <= after


def test_fields_cannot_replace_the_lead(log):
    """A field called `level` gets another name instead of the level's place."""
    log_setup.get_logger("x").info("told", level="none", timestamp=0, logger="y")

    (line,) = log.lines
    assert list(line)[:4] == LEAD
    assert (line["level"], line["logger"]) == ("info", "x")
    assert (line["level_"], line["timestamp_"], line["logger_"]) == ("none", 0, "y")


def test_bound_context_is_in_the_lines_of_all_loggers(log):
    """What a request binds is on its lines, those of other libraries included."""
    with bound_contextvars(request_id="r1"):
        log_setup.get_logger("x").info("ours")
        logging.getLogger("library").info("theirs")
    log_setup.get_logger("x").info("later")

    assert [line.get("request_id") for line in log.lines] == ["r1", "r1", None]


async def test_context_of_one_task_is_not_in_the_lines_of_another(log):
    """Two requests at once have each their own id."""
    both = asyncio.Barrier(2)

    async def request(name):
        with bound_contextvars(request_id=name):
            async with both:
                log_setup.get_logger("x").info("served", by=name)

    await asyncio.gather(request("a"), request("b"))

    assert all(line["request_id"] == line["by"] for line in log.lines)


@pytest.mark.parametrize(
    ("form", "terminal", "as_json"),
    [
        ("auto", True, False),
        ("auto", False, True),
        ("json", True, True),
        ("console", False, False),
    ],
)
def test_form_follows_the_settings_and_the_terminal(log, form, terminal, as_json):
    """`auto` is for people on a terminal and JSON anywhere else."""
    log.stream.isatty = lambda: terminal
    log.configure(format=form)
    log_setup.get_logger("x").info("hello", answer=42)

    assert log.text.startswith("{") is as_json
    assert ("answer=42" in log.text) is not as_json


def test_console_line_quotes_what_is_not_one_plain_word(log):
    """A value with spaces, quotes or nothing in it can be told from its neighbours."""
    log.configure(format="console")
    log_setup.get_logger("x").info("hello", a="b c", d='e"f', g="", h="i=j", k=1)

    assert log.text.endswith(' info x hello a="b c" d="e\\"f" g="" h="i=j" k=1\n')


# -- log injection (CWE-117) -----------------------------------------------------


@pytest.mark.parametrize("form", ["json", "console"])
def test_forged_logger_name_stays_in_its_line(log, form):
    """Even the name of a logger may come from outside."""
    log.configure(format=form)
    logging.getLogger(FORGED).warning("x")

    assert log.text.count("\n") == 1
    assert unseen(log.text[:-1]) == []


@pytest.mark.parametrize("form", ["json", "console"])
def test_forged_exception_text_cannot_begin_a_line(log, form):
    """The text of an exception is the client's as often as not."""
    log.configure(format=form)
    logging.getLogger("x").error("failed", exc_info=ValueError(FORGED))

    first, *others = log.text[:-1].split("\n")
    assert "failed" in first
    assert unseen(log.text.replace("\n", "")) == []
    if form == "json":
        assert others == []
    else:
        assert all(each.startswith("  | ") for each in others)


# -- values ----------------------------------------------------------------------


class Stubborn:
    """Has no text."""

    def __str__(self):
        raise RuntimeError("no")

    __repr__ = __str__


CIRCLE: dict[str, object] = {}
CIRCLE["self"] = CIRCLE


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(SecretStr("hunter2"), "**********", id="secret"),
        pytest.param(
            {"deep": [SecretStr("hunter2")]}, {"deep": ["**********"]}, id="in"
        ),
        pytest.param({1: "a"}, {"1": "a"}, id="key"),
        pytest.param(b"\xff\n", r"b'\xff\n'", id="bytes"),
        pytest.param(2**70, str(2**70), id="int"),
        pytest.param(float("nan"), None, id="nan"),
        pytest.param(ValueError("x"), "ValueError('x')", id="error"),
        pytest.param({"a"}, "{'a'}", id="set"),
        pytest.param(Stubborn(), "<Stubborn>", id="stubborn"),
        pytest.param(None, None, id="none"),
        pytest.param(["\ud800", 2**70], [r"\ud800", str(2**70)], id="list"),
    ],
)
def test_value_that_json_cannot_say_becomes_its_text(log, value, expected):
    """No value costs the line, and a secret masks itself at any depth."""
    log_setup.get_logger("x").info("told", value=value)

    assert log.lines[0]["value"] == expected


@pytest.mark.parametrize("form", ["json", "console"])
def test_secrets_are_masked_in_both_forms(log, form):
    """A secret that is logged by mistake shows asterisks only."""
    log.configure(format=form)
    secret = SecretStr("hunter2")
    log_setup.get_logger("x").info("told", key=secret, many=[secret], text=f"{secret}")
    logging.getLogger("y").info("%s %r", secret, secret, extra={"key": secret})

    assert "hunter2" not in log.text
    assert log.text.count("**********") == 6


def test_circle_ends(log):
    """A value that holds itself is cut at some depth."""
    log_setup.get_logger("x").info("told", value=CIRCLE)

    assert set(log.lines[0]["value"]) == {"self"}


# -- exceptions ------------------------------------------------------------------


def fail(password):
    raise RuntimeError("no luck")


def test_exception_is_one_string_without_local_variables(log):
    """The whole trace is in one field; what variables held is not in it."""
    try:
        fail(password="hunter" + "2")
    except RuntimeError as error:
        log_setup.get_logger("x").error("failed", exc_info=error)
        log_setup.get_logger("x").exception("failed")

    assert log.text.count("\n") == 2
    for line in log.lines:
        assert line["exception"].startswith("Traceback (most recent call last):\n")
        assert line["exception"].endswith("RuntimeError: no luck")
    assert "hunter2" not in log.text


def test_exception_of_a_library_is_the_same(log):
    """What uvicorn says of a failure gives the same field."""
    try:
        fail(password="")
    except RuntimeError:
        logging.getLogger("uvicorn.error").exception("Exception in app")

    (line,) = log.lines
    assert list(line) == [*LEAD, "exception"]
    assert line["exception"].endswith("RuntimeError: no luck")


def test_no_exception_leaves_no_field(log):
    """`exc_info` without an exception says nothing."""
    logging.getLogger("x").error("failed", exc_info=(None, None, None))
    log_setup.get_logger("x").error("failed", exc_info=None)

    assert [list(line) for line in log.lines] == [LEAD, LEAD]


# -- records of other libraries --------------------------------------------------


def test_record_of_uvicorn_has_the_same_form(log):
    """Arguments are in the message; the coloured copy of it is dropped."""
    logging.getLogger("uvicorn.error").info(
        "Started server process [%d]", 7, extra={"color_message": "\x1b[36m%d"}
    )

    (line,) = log.lines
    assert list(line) == LEAD
    assert line["event"] == "Started server process [7]"
    assert line["logger"] == "uvicorn.error"


def test_warning_is_a_line(log):
    """What Python warns of is in the log, not beside it."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        log.configure(format="json")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(capture=False)

    (line,) = log.lines
    assert line["logger"] == "py.warnings"
    assert "DeprecationWarning: old" in line["event"]


def test_handlers_of_uvicorn_are_taken_away(log):
    """uvicorn writes nothing on its own."""
    logger = logging.getLogger("uvicorn.error")
    logger.addHandler(logging.StreamHandler())
    logger.propagate = False
    log.configure(format="json")

    assert logger.handlers == []
    assert logger.propagate


def test_wrong_arguments_of_a_message_are_a_line_too():
    """A record that can't be told still shows when and from where."""
    with logged() as log:  # here, because pytest's own handler would raise
        logging.getLogger("careless").info("%d", "x")

    (line,) = log.lines
    assert line["logger"] == "careless"
    assert (line["event"], line["problem"]) == ("log_failed", "TypeError")
