"""Every record of the process is one line of one form, whatever it holds."""

import asyncio
import datetime as dt
import io
import json
import logging
import os
import re
import threading
import warnings

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from structlog.contextvars import bound_contextvars

from service.observability import logging as log_setup
from service.observability.log_stream import LineHandler
from service.settings import LogSettings
from tests.support.log import logged

LEAD = ["timestamp", "level", "logger", "event"]

ANYTHING = st.text(st.characters(exclude_categories=())) | st.sampled_from(
    ["\n", "\r\n", "\x1b[2K", "\x9b31m", "\u2028", "\u2029", "\x85", "\ud800", "\0", ""]
)
"""Any text at all: control characters and lone surrogates too."""

FORGED = 'a\n{"level":"error","event":"forged"}\x1b[1A\r\u2028b'


def unseen(text: str) -> list[str]:
    """Characters that a terminal or a line reader could act upon."""
    return re.findall("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", text)


def told(text: str) -> str:
    """The text as UTF-8 can tell it."""
    return text.encode("utf-8", "backslashreplace").decode()


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


@given(key=ANYTHING, value=ANYTHING, message=ANYTHING)
def test_any_text_anywhere_is_one_line_of_json(key, value, message):
    """Whatever event, key and value hold, one line comes of it and nothing is lost."""
    with logged() as log:
        log_setup.get_logger("x").info(message, **{f"_{key}": value})
        logging.getLogger("y").info("%s", message, extra={"given": value})

    assert log.text.count("\n") == 2
    assert unseen(log.text.replace("\n", "")) == []
    ours, theirs = log.lines
    assert ours["event"] == theirs["event"] == told(message)
    assert ours[told(f"_{key}")] == theirs["given"] == told(value)


@given(key=ANYTHING, value=ANYTHING, message=ANYTHING)
def test_any_text_anywhere_is_one_line_for_people(key, value, message):
    """The form for a terminal can't be forged either."""
    with logged(format="console") as log:
        log_setup.get_logger("x").info(message, **{f"_{key}": value})
        logging.getLogger("y").info("%s", message, extra={"given": value})

    assert log.text.count("\n") == 2
    assert unseen(log.text.replace("\n", "")) == []


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


# -- configure -------------------------------------------------------------------


def test_configured_twice_there_is_one_handler(log):
    """Later settings replace earlier ones; nothing is written twice."""
    second = io.TextIOWrapper(io.BytesIO())
    log_setup.configure(LogSettings(format="json"), stream=second)
    log_setup.get_logger("x").info("once")

    handlers = logging.getLogger().handlers
    assert sum(isinstance(each, LineHandler) for each in handlers) == 1
    assert log.text == ""
    assert second.buffer.getvalue().count(b"once") == 1
    assert not log.stream.closed


def test_logger_made_before_configure_writes_the_same_lines():
    """The order of import and configuration does not matter."""
    early = log_setup.get_logger("early")
    with logged() as log:
        early.info("told")

    assert log.lines[0]["event"] == "told"


def test_events_can_be_captured_by_structlog():
    """Tests of others may look at events without reading lines."""
    with logged() as log, structlog.testing.capture_logs() as captured:
        log_setup.get_logger("x").info("told", answer=42)

    assert log.text == ""
    assert captured == [{"event": "told", "answer": 42, "log_level": "info"}]


# -- levels ----------------------------------------------------------------------


def test_levels_change_while_running(log):
    """The new level counts for loggers that are there already."""
    logger = log_setup.get_logger("x")
    logger.debug("one")
    log_setup.set_levels(LogSettings(level="debug"))
    logger.debug("two")
    log_setup.set_levels(LogSettings(level="error"))
    logger.warning("three")
    logger.error("four")

    assert [line["event"] for line in log.lines] == ["two", "four"]


def test_removed_override_gives_the_old_level_back(log):
    """A logger that is no longer named follows the root again, or its own library."""
    library = logging.getLogger("library.with.own.level")
    library.setLevel(logging.ERROR)
    plain = logging.getLogger("plain")
    overrides = {library.name: "debug", "plain": "warning"}
    log_setup.set_levels(LogSettings(loggers=overrides))
    during = library.level, plain.level
    log_setup.set_levels(LogSettings())

    assert during == (logging.DEBUG, logging.WARNING)
    assert (library.level, plain.level) == (logging.ERROR, logging.NOTSET)
    assert plain.getEffectiveLevel() == logging.INFO


def test_override_survives_configure(log):
    """Set, set again, configured anew: still the first level comes back."""
    logging.getLogger("plain").setLevel(logging.NOTSET)
    log.configure(format="json", loggers={"plain": "debug"})
    log.configure(format="json", loggers={"plain": "error"})
    log_setup.set_levels(LogSettings())

    assert logging.getLogger("plain").level == logging.NOTSET


@pytest.mark.parametrize("name", ["uvicorn.access", "watchfiles"])
def test_noisy_logger_is_quiet_unless_asked(log, name):
    """They repeat what our own lines say; the settings can still turn them up."""
    logging.getLogger(name).info("noise")
    log_setup.set_levels(LogSettings(loggers={name: "debug"}))
    logging.getLogger(name).info("asked")

    assert [line["event"] for line in log.lines] == ["asked"]


def test_event_below_the_level_costs_no_text(log):
    """Values of a line that is not written are never turned into text."""

    class Costly:
        def __str__(self):
            raise AssertionError("rendered")

    log_setup.get_logger("x").debug("told", value=Costly())

    assert log.text == ""


# -- the stream ------------------------------------------------------------------


def closed_file():
    stream = io.TextIOWrapper(io.BytesIO())
    stream.close()
    return stream


def closed_pipe():
    read, write = os.pipe()
    os.close(read)
    return os.fdopen(write, "w")


class FullDisk(io.StringIO):
    def write(self, text):
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    "make", [closed_file, closed_pipe, FullDisk], ids=["closed", "pipe", "disk"]
)
@pytest.mark.parametrize("form", ["json", "console"])
def test_broken_stream_never_fails_the_caller(make, form, capfd):
    """A reader that is gone is no error of ours, and nothing is said elsewhere."""
    stream = make()
    with logged():
        log_setup.configure(LogSettings(format=form), stream=stream)
        log_setup.get_logger("x").info("lost")
        logging.getLogger("y").info("lost")
    stream.close()

    assert capfd.readouterr() == ("", "")


def test_process_without_stdout_logs_to_nowhere(monkeypatch):
    """A service started with its output closed still runs."""
    monkeypatch.setattr("sys.stdout", None)
    with logged():
        log_setup.configure(LogSettings())
        log_setup.get_logger("x").info("lost")


def test_text_written_before_comes_before(tmp_path):
    """What others printed to the stream is not overtaken."""
    with logged(), (tmp_path / "log").open("w") as stream:
        stream.write("hello\n")
        log_setup.configure(LogSettings(format="json"), stream=stream)
        log_setup.get_logger("x").info("told")
        written = (tmp_path / "log").read_text()

    assert written.startswith("hello\n{")


def test_lines_of_several_threads_never_mix():
    """Each line arrives whole through a pipe, however many write at once."""
    read, write = os.pipe()
    chunks: list[bytes] = []

    def drain():
        while chunk := os.read(read, 65536):
            chunks.append(chunk)

    def chatter(name):
        logger = log_setup.get_logger("x")
        for number in range(100):
            logger.info("told", thread=name, number=number, text="x" * 700)

    reader = threading.Thread(target=drain)
    reader.start()
    with logged(), os.fdopen(write, "w") as stream:
        log_setup.configure(LogSettings(format="json"), stream=stream)
        writers = [threading.Thread(target=chatter, args=(n,)) for n in range(4)]
        for each in writers:
            each.start()
        for each in writers:
            each.join()
    reader.join()
    os.close(read)

    lines = [json.loads(line) for line in b"".join(chunks).splitlines()]
    assert sorted((line["thread"], line["number"]) for line in lines) == [
        (thread, number) for thread in range(4) for number in range(100)
    ]


def test_reader_that_is_too_slow_loses_lines_but_never_gets_two_in_one():
    """What a full pipe cut short is ended before the next line begins."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    with logged(), os.fdopen(write, "w") as stream:
        log_setup.configure(LogSettings(format="json"), stream=stream)
        logger = log_setup.get_logger("x")
        for number in range(200):
            logger.info("told", number=number, text="x" * 5000)
        early = os.read(read, 1 << 20)
        logger.info("late")
        late = os.read(read, 1 << 20)
    os.close(read)

    lines = (early + late).split(b"\n")
    assert lines[-1] == b""
    assert json.loads(lines[-2])["event"] == "late"
    whole = [json.loads(line) for line in lines[:-1] if line.endswith(b"}")]
    assert len(lines) - 1 - len(whole) <= 1
    assert [line["number"] for line in whole[:3]] == [0, 1, 2]


def test_logging_while_a_line_is_written_does_not_hang(log):
    """A signal handler or a finalizer may log at any moment."""

    class Talkative(io.StringIO):
        busy = False

        def write(self, text):
            if not self.busy:
                self.busy = True
                log_setup.get_logger("inner").info("told")
            return super().write(text)

    stream = Talkative()
    log_setup.configure(LogSettings(format="json"), stream=stream)
    log_setup.get_logger("outer").info("told")

    found = [json.loads(line)["logger"] for line in stream.getvalue().splitlines()]
    assert sorted(found) == ["inner", "outer"]
