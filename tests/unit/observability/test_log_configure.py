"""The log while it runs: configured anew, other levels, broken and shared streams."""

import io
import json
import logging
import os
import threading

import pytest
import structlog

from service.observability import logging as log_setup
from service.observability.log_stream import LineHandler
from service.settings import LogSettings
from tests.support.log import logged

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
