"""One line per request, in the form of every other line."""

import json
import logging

import structlog

from service.observability.access_log import AccessLog
from service.observability.logging import get_logger, set_levels
from service.settings import LogSettings
from tests.support.log import logged

REQUEST = {
    "method": "GET",
    "route": "/user/{name}",
    "path": "/user/ann",
    "status": 200,
    "duration": 0.0123456789,
    "bytes": 17,
    "client": "10.1.2.3",
    "request_id": "abc",
}


def test_line_has_the_fields_of_the_request(log):
    """The keys and their order are fixed; the duration is in microseconds' steps."""
    AccessLog().write(**REQUEST)

    (line,) = log.lines
    assert list(line) == ["timestamp", "level", "logger", "event", *REQUEST]
    assert line["event"] == "request"
    assert line["level"] == "info"
    assert line["logger"] == "httpserver.access"
    assert line["duration"] == 0.012346


def test_short_way_and_long_way_write_the_same(log):
    """The line is that of a logger with the same fields."""
    AccessLog().write(**REQUEST, trace_id="t")
    get_logger("httpserver.access").info(
        "request", **REQUEST | {"duration": 0.012346, "trace_id": "t"}
    )

    short, long = log.lines
    del short["timestamp"], long["timestamp"]
    assert short == long
    assert list(short) == list(long)


def test_further_field_does_not_overwrite_the_lead(log):
    """An extra field called like a leading key gets an underscore."""
    AccessLog().write(**REQUEST, level="fake", logger="fake")

    (line,) = log.lines
    assert (line["level"], line["level_"]) == ("info", "fake")


def test_line_for_people_is_key_value():
    """On a terminal the access line is as readable as the others."""
    with logged(format="console") as log:
        AccessLog().write(**REQUEST)

    assert log.text.endswith(
        " info httpserver.access request method=GET route=/user/{name} path=/user/ann "
        "status=200 duration=0.012346 bytes=17 client=10.1.2.3 request_id=abc\n"
    )


def test_what_is_bound_where_it_is_made_is_on_each_line(log):
    """A worker's number is told; what a request binds later is not looked for."""
    with structlog.contextvars.bound_contextvars(worker=3):
        access = AccessLog()
    with structlog.contextvars.bound_contextvars(later=1):
        access.write(**REQUEST)

    (line,) = log.lines
    assert line["worker"] == 3
    assert "later" not in line


def test_level_above_info_silences_it(log):
    """The level of the root or of the logger itself counts, live."""
    access = AccessLog()
    set_levels(LogSettings(level="warning"))
    access.write(**REQUEST)
    set_levels(LogSettings(loggers={"httpserver.access": "error"}))
    access.write(**REQUEST)
    assert log.lines == []

    set_levels(LogSettings())
    access.write(**REQUEST)

    assert len(log.lines) == 1


def test_path_of_an_attacker_is_one_line(log):
    """Whatever the path, there is one line, and it says the path."""
    path = '/\n{"event":"forged"}\x1b[2J\ud800'

    AccessLog().write(**REQUEST | {"path": path})

    assert log.text.count("\n") == 1
    assert log.lines[0]["path"] == path.replace("\ud800", "\\ud800")


def test_without_configuration_it_is_an_ordinary_record(caplog):
    """A service that somebody embeds logs by their handlers."""
    with caplog.at_level(logging.INFO):
        AccessLog().write(**REQUEST)

    (record,) = caplog.records
    assert record.name == "httpserver.access"
    assert record.getMessage() == "request"
    assert json.dumps(record.structured_fields)
