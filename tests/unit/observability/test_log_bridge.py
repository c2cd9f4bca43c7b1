"""structlog, the standard library and other libraries end in the same lines."""

import asyncio
import io
import logging
import sys

import pytest
import structlog

from service.observability.logging import (
    configure,
    get_logger,
    line_handler,
    set_levels,
)
from service.settings import LogSettings
from tests.support.log import logged


async def test_complaint_of_asyncio_is_logged(log):
    """The loop's exception handler ends here, trace included."""
    loop = asyncio.get_running_loop()
    loop.call_exception_handler({"message": "lost", "exception": ValueError("x")})

    line = log.lines[-1]
    assert (line["logger"], line["event"]) == ("asyncio", "lost")
    assert line["exception"].endswith("ValueError: x")


def test_stack_is_a_field(log):
    """Who asks for the stack gets it, in the line."""
    get_logger("x").info("here", stack_info=True)

    assert log.lines[0]["stack"].startswith("Stack (most recent call last)")


def test_positional_arguments_are_put_into_the_event(log):
    """The way of the standard library works too."""
    get_logger("x").info("took %d s", 3)

    assert log.lines[0]["event"] == "took 3 s"


def test_bound_logger_adds_its_fields(log):
    """`bind` works as structlog's users know it."""
    get_logger("x").bind(server="main").info("it", port=1)

    assert (log.lines[0]["server"], log.lines[0]["port"]) == ("main", 1)


def test_own_field_wins_over_bound_context(log):
    """What is said last is meant."""
    with structlog.contextvars.bound_contextvars(user="ann"):
        get_logger("x").info("it", user="bob")

    assert log.lines[0]["user"] == "bob"


def test_structlog_of_a_library_takes_the_same_way(log):
    """`structlog.get_logger` ends in the same line."""
    structlog.get_logger("library").info("it", n=1)

    assert (log.lines[0]["logger"], log.lines[0]["n"]) == ("library", 1)


@pytest.mark.parametrize("key", ["name", "msg", "args", "process", "level", "message"])
def test_any_name_will_do_for_a_field(log, key):
    """Attributes of log records and leading keys are no bar."""
    get_logger("x").info("it", **{key: "mine"})

    line = log.lines[0]
    assert "mine" in (line.get(key), line.get(f"{key}_"))


def test_other_handlers_see_an_ordinary_record():
    """An exporter reads the event as the message."""
    seen = []

    class Exporter(logging.Handler):
        def emit(self, record):
            seen.append(record)

    exporter = Exporter()
    with logged():
        logging.getLogger().addHandler(exporter)
        get_logger("x").info("it_happened", n=1)

    (record,) = seen
    assert record.getMessage() == "it_happened"
    assert (record.name, record.levelname) == ("x", "INFO")


def test_single_logger_has_a_level_of_its_own(log):
    """An override holds for the logger and what is under it."""
    set_levels(LogSettings(level="error", loggers={"a.b": "debug"}))

    get_logger("a").info("unheard")
    get_logger("a.b").debug("heard")
    get_logger("a.b.c").debug("heard")

    assert [line["logger"] for line in log.lines] == ["a.b", "a.b.c"]


def test_level_that_a_library_set_itself_is_left_alone(log):
    """Only loggers that the settings name are touched."""
    logging.getLogger("shy.library").setLevel(logging.CRITICAL)

    set_levels(LogSettings(level="debug"))

    assert logging.getLogger("shy.library").level == logging.CRITICAL


def test_closed_standard_output_does_not_stop_the_start(monkeypatch):
    """A stream that can't say whether it is a terminal is none."""
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr(sys, "stdout", stream)

    with logged():
        configure(LogSettings(format="auto"))
        get_logger("x").info("unheard")

        assert line_handler().as_json


def test_handler_is_found_only_while_it_is_installed():
    """Before `configure` and after the block there is none."""
    assert line_handler() is None
    with logged():
        assert line_handler() is not None
    assert line_handler() is None
