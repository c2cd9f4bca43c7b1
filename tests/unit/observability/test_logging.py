"""Every logger of the process speaks in one form, at the level of the settings."""

import asyncio
import io
import json
import logging
import sys
import warnings

import pytest
import structlog

from service.observability.log_stream import LineHandler
from service.observability.logging import (
    configure,
    get_logger,
    line_handler,
    set_levels,
)
from service.settings import LogSettings
from tests.support.log_capture import LogCapture, logging_to


def test_event_is_a_line_of_its_fields(log):
    """Time, level, logger, event, then the fields."""
    get_logger("service.test").info("it_happened", path="/", status=200)

    line = log.line
    assert list(line) == ["timestamp", "level", "logger", "event", "path", "status"]
    assert line["level"] == "info"
    assert line["logger"] == "service.test"
    assert line["event"] == "it_happened"
    assert line["timestamp"].endswith("Z")
    assert len(line["timestamp"]) == len("2026-01-01T00:00:00.000Z")


@pytest.mark.parametrize("name", ["uvicorn", "uvicorn.error", "asyncio", "any.library"])
def test_record_of_a_library_has_the_same_form(log, name):
    """Message and arguments become the event, extras become fields."""
    logging.getLogger(name).warning("%d of %s", 3, "x", extra={"shard": 7})

    line = log.line
    line.pop("timestamp")
    assert line == {
        "level": "warning", "logger": name, "event": "3 of x", "shard": 7,
    }  # fmt: skip


def test_coloured_copy_of_uvicorn_is_dropped(log):
    """The message is logged once, without escape sequences."""
    logging.getLogger("uvicorn.error").info(
        "Started", extra={"color_message": "\x1b[36mStarted\x1b[0m"}
    )

    assert set(log.line) == {"timestamp", "level", "logger", "event"}


def test_access_log_of_uvicorn_is_silent(log):
    """There is one access line per request: ours."""
    logging.getLogger("uvicorn.access").info('"GET / HTTP/1.1" 200')

    assert log.lines == []


def test_warning_is_logged(log):
    """Python's warnings come out as lines, not on standard error."""
    with warnings.catch_warnings():
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.simplefilter("always")
        warnings.warn("old\nnews", UserWarning, stacklevel=1)

    assert log.line["logger"] == "py.warnings"
    assert "UserWarning: old\nnews" in log.line["event"]


async def test_complaint_of_asyncio_is_logged(log):
    """The loop's exception handler ends here, trace included."""
    loop = asyncio.get_running_loop()
    loop.call_exception_handler({"message": "lost", "exception": ValueError("x")})

    assert log.line["logger"] == "asyncio"
    assert log.line["exception"].endswith("ValueError: x")


@pytest.mark.parametrize(
    "report",
    [
        lambda log, error: log.error("failed", exc_info=error),
        lambda log, _error: log.error("failed", exc_info=True),
        lambda log, _error: log.exception("failed"),
        lambda _log, _error: logging.getLogger("x").exception("failed"),
    ],
    ids=["error", "true", "exception", "library"],
)
def test_exception_is_one_field_of_one_line(log, report):
    """The trace is text in the line, with its cause."""
    try:
        try:
            raise KeyError("inner")
        except KeyError as inner:
            raise ValueError("outer") from inner
    except ValueError as error:
        report(get_logger("x"), error)

    assert log.text.count("\n") == 1
    assert log.line["event"] == "failed"
    assert "KeyError: 'inner'" in log.line["exception"]
    assert log.line["exception"].endswith("ValueError: outer")


def test_no_exception_gives_no_field(log):
    """`exception` outside of a handler has nothing to tell."""
    get_logger("x").exception("failed")

    assert "exception" not in log.line


def test_stack_is_a_field(log):
    """Who asks for the stack gets it, in the line."""
    get_logger("x").info("here", stack_info=True)

    assert log.line["stack"].startswith("Stack (most recent call last)")


def test_positional_arguments_are_put_into_the_event(log):
    """The way of the standard library works too."""
    get_logger("x").info("took %d s", 3)

    assert log.line["event"] == "took 3 s"


def test_bound_context_is_in_every_line(log):
    """The request id is told by our events and by those of libraries."""
    with structlog.contextvars.bound_contextvars(request_id="abc"):
        get_logger("x").info("ours")
        logging.getLogger("y").info("theirs")
    get_logger("x").info("after")

    assert [line.get("request_id") for line in log.lines] == ["abc", "abc", None]


def test_own_field_wins_over_bound_context(log):
    """What is said last is meant."""
    with structlog.contextvars.bound_contextvars(user="ann"):
        get_logger("x").info("it", user="bob")

    assert log.line["user"] == "bob"


def test_bound_logger_adds_its_fields(log):
    """`bind` works as structlog's users know it."""
    get_logger("x").bind(server="main").info("it", port=1)

    assert log.line["server"] == "main"


def test_structlog_of_a_library_takes_the_same_way(log):
    """`structlog.get_logger` ends in the same line."""
    structlog.get_logger("library").info("it", n=1)

    assert (log.line["logger"], log.line["n"]) == ("library", 1)


@pytest.mark.parametrize("key", ["name", "msg", "args", "process", "level", "message"])
def test_any_name_will_do_for_a_field(log, key):
    """Attributes of log records and leading keys are no bar."""
    get_logger("x").info("it", **{key: "mine"})

    assert "mine" in (log.line.get(key), log.line.get(f"{key}_"))


def test_forged_line_in_a_value_stays_in_its_value(log):
    """CWE-117: what a client sends is never a line of its own."""
    forged = '/\n{"level":"error","event":"forged"}\r\n\x1b[2J'

    get_logger("x").info("request", path=forged)
    logging.getLogger("uvicorn.error").warning("Invalid request: %s", forged)

    assert log.text.count("\n") == 2
    assert log.lines[0]["path"] == forged
    assert log.lines[1]["event"] == f"Invalid request: {forged}"


def test_forged_line_in_the_form_for_people_stays_in_its_value():
    """The same, where people read."""
    with logging_to(LogCapture(), format="console") as log:
        get_logger("x").info("request", path="/\nT error httpserver forged\x1b[2J")
        logging.getLogger("y").error("bad\nT error httpserver forged")
        try:
            raise ValueError("x\nT error httpserver forged")
        except ValueError:
            get_logger("x").exception("failed")

    for line in log.text.split("\n"):
        assert not line.startswith("T error")
        assert line.isprintable()


def test_event_below_the_level_is_not_built(log):
    """A disabled event never looks at its values."""
    set_levels(LogSettings(level="error"))

    class Costly:
        def __str__(self):
            raise AssertionError("built")

    get_logger("x").info("it", value=Costly())
    get_logger("x").log(logging.INFO, "it %s", Costly())

    assert log.lines == []


def test_level_changes_at_once(log):
    """A logger that exists obeys the new level."""
    ours, theirs = get_logger("x"), logging.getLogger("uvicorn.error")
    set_levels(LogSettings(level="warning"))
    ours.info("unheard")
    theirs.info("unheard")
    set_levels(LogSettings(level="info"))
    ours.info("heard")
    theirs.info("heard")

    assert [line["event"] for line in log.lines] == ["heard", "heard"]


def test_single_logger_has_a_level_of_its_own(log):
    """An override holds for the logger and what is under it."""
    set_levels(LogSettings(level="error", loggers={"a.b": "debug"}))

    get_logger("a").info("unheard")
    get_logger("a.b").debug("heard")
    get_logger("a.b.c").debug("heard")

    assert [line["logger"] for line in log.lines] == ["a.b", "a.b.c"]


def test_override_that_is_gone_is_undone(log):
    """The logger has the level again that its library gave it."""
    logging.getLogger("own.level").setLevel(logging.ERROR)
    set_levels(LogSettings(loggers={"own.level": "debug", "x.y": "error"}))
    set_levels(LogSettings(loggers={"own.level": "info"}))
    set_levels(LogSettings())

    assert logging.getLogger("own.level").level == logging.ERROR
    assert logging.getLogger("x.y").level == logging.NOTSET


def test_level_that_a_library_set_itself_is_left_alone(log):
    """Only loggers that the settings name are touched."""
    logging.getLogger("shy.library").setLevel(logging.CRITICAL)

    set_levels(LogSettings(level="debug"))

    assert logging.getLogger("shy.library").level == logging.CRITICAL


def test_override_survives_a_new_configuration(log):
    """What was replaced before is undone by the next settings all the same."""
    set_levels(LogSettings(loggers={"a.b": "debug"}))
    configure(LogSettings(format="json"), stream=log)

    assert logging.getLogger("a.b").level == logging.NOTSET


def test_quiet_logger_can_be_turned_on(log):
    """Who names it in the settings hears it."""
    set_levels(LogSettings(loggers={"uvicorn.access": "info"}))

    logging.getLogger("uvicorn.access").info("GET /")

    assert log.line["event"] == "GET /"


def test_second_configuration_replaces_the_first(log):
    """One handler, one line, on the newest stream."""
    newer = LogCapture()
    configure(LogSettings(format="json"), stream=newer)

    get_logger("x").info("it")

    assert log.lines == []
    assert newer.line["event"] == "it"
    found = [h for h in logging.root.handlers if isinstance(h, LineHandler)]
    assert len(found) == 1


def test_logger_of_before_the_configuration_obeys_it():
    """A logger that was made at import is no exception."""
    early = get_logger("early")
    with logging_to(LogCapture()) as log:
        early.info("it")

    assert log.line["event"] == "it"


def test_other_handlers_see_an_ordinary_record(log, caplog):
    """An exporter reads the event as the message."""
    get_logger("x").info("it_happened", n=1)

    (record,) = caplog.records
    assert record.getMessage() == "it_happened"
    assert (record.name, record.levelname) == ("x", "INFO")


def test_events_can_be_captured_in_tests(log):
    """structlog's own test helper sees the event, not the log."""
    ours = get_logger("x")
    with structlog.testing.capture_logs() as events:
        ours.info("it", n=1)

    assert events == [{"event": "it", "n": 1, "log_level": "info"}]
    assert log.lines == []


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("form", "stream", "as_json"),
    [
        ("auto", Terminal(), False),
        ("auto", io.StringIO(), True),
        ("json", Terminal(), True),
        ("console", io.StringIO(), False),
    ],
    ids=["auto, terminal", "auto, pipe", "json, terminal", "console, pipe"],
)
def test_form_follows_setting_and_stream(form, stream, as_json):
    """`auto` is for people on a terminal, for machines elsewhere."""
    with logging_to(stream, format=form):
        get_logger("x").info("it", n=1)

    assert stream.getvalue().startswith("{") is as_json
    assert stream.getvalue().count("\n") == 1


def test_standard_output_is_the_default(capsys):
    """Without a stream it is what standard output is at that time."""
    with logging_to(None):
        get_logger("x").info("it")

    assert json.loads(capsys.readouterr().out)["event"] == "it"


@pytest.mark.parametrize("closed", [False, True], ids=["none", "closed"])
def test_missing_standard_output_does_not_stop_the_start(monkeypatch, closed):
    """`serve >&-` runs, unheard."""
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr(sys, "stdout", stream if closed else None)

    with logging_to(None, format="auto"):
        get_logger("x").info("unheard")


def test_levels_before_the_configuration_do_no_harm():
    """Without a handler the root's level is set all the same."""
    assert line_handler() is None
    before = logging.root.level
    try:
        set_levels(LogSettings(level="error"))

        assert logging.root.level == logging.ERROR
    finally:
        logging.root.setLevel(before)
        logging.getLogger("uvicorn.access").setLevel(logging.NOTSET)
        logging.getLogger("watchfiles").setLevel(logging.NOTSET)
