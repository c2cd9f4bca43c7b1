"""A line is one write; a reader that is gone, slow or closed harms nobody."""

import gc
import io
import json
import logging
import os
import subprocess
import sys
import threading

import pytest

from service.observability.log_stream import LineHandler


class Raw(io.RawIOBase):
    """A raw stream that takes what *answers* say: bytes, None for none, an error."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.writes = []

    def writable(self):
        return True

    def write(self, data):
        answer = self.answers.pop(0) if self.answers else len(data)
        if isinstance(answer, Exception):
            raise answer
        self.writes.append(bytes(data[:answer]) if answer is not None else b"")
        return answer

    @property
    def taken(self):
        return b"".join(self.writes)


class Stream:
    """What the handler sees of standard output."""

    def __init__(self, raw):
        self.buffer = type("Buffer", (), {"raw": raw})

    def flush(self):
        pass


def handler(*answers) -> tuple[LineHandler, Raw]:
    raw = Raw(*answers)
    return LineHandler(Stream(raw), as_json=True), raw


def test_line_is_one_write():
    """The line and its end go in one call."""
    to, raw = handler()

    to.write(b"one")
    to.write(b"two")

    assert raw.writes == [b"one\n", b"two\n"]


def test_rest_of_a_line_is_written():
    """A stream that takes a part gets the rest."""
    to, raw = handler(2, 1)

    to.write(b"whole")
    to.write(b"next")

    assert raw.taken == b"whole\nnext\n"


def test_line_after_a_torn_one_begins_anew():
    """What a full pipe cut short can't spoil the next line."""
    to, raw = handler(2, None)

    to.write(b"torn")
    to.write(b"next")
    to.write(b"last")

    assert raw.taken == b"to\nnext\nlast\n"


def test_line_that_a_full_pipe_refuses_is_lost_whole():
    """Nothing is written later in its place."""
    to, raw = handler(None)

    to.write(b"lost")
    to.write(b"next")

    assert raw.taken == b"next\n"


@pytest.mark.parametrize(
    "error", [BrokenPipeError(), OSError(28, "no space"), ValueError("closed")], ids=str
)
def test_broken_stream_is_no_error(error):
    """A line that can't be written is lost, the next is tried."""
    to, raw = handler(error)

    to.write(b"lost")
    to.write(b"next")

    assert raw.taken == b"next\n"


def test_reader_that_is_gone_is_no_error():
    """A real pipe without a reader loses the line."""
    read, write = os.pipe()
    with os.fdopen(write, "w") as stream:
        to = LineHandler(stream, as_json=True)
        os.close(read)

        to.write(b"lost")


def test_closed_stream_is_no_error(tmp_path):
    """A stream that somebody closed is not written to, nor its number used again."""
    stream = (tmp_path / "log").open("w")
    to = LineHandler(stream, as_json=True)
    stream.close()
    with (tmp_path / "other").open("w+") as other:
        to.write(b"lost")

        assert other.read() == ""


def test_missing_stdout_drops_lines():
    """A process that was started without standard output logs nowhere."""
    LineHandler(None, as_json=True).write(b"lost")


def test_text_of_before_is_not_overtaken(tmp_path):
    """What was printed before stands before the log."""
    with (tmp_path / "log").open("w+") as stream:
        stream.write("printed\n")

        LineHandler(stream, as_json=True).write(b"line")

        assert (tmp_path / "log").read_text() == "printed\nline\n"


def test_handler_keeps_no_stream_alive(tmp_path):
    """A handler that is dropped holds no file open and warns of none."""
    with (tmp_path / "log").open("w") as stream:
        LineHandler(stream, as_json=True).close()
        gc.collect()

        assert not stream.closed


def test_lines_of_many_threads_are_whole(tmp_path):
    """Long lines of eight threads come out one after the other."""
    path = tmp_path / "log"
    with path.open("w") as stream:
        to = LineHandler(stream, as_json=True)
        line = {each: json.dumps([str(each) * 20_000]).encode() for each in range(8)}

        def write(each):
            for _ in range(50):
                to.write(line[each])

        threads = [threading.Thread(target=write, args=(each,)) for each in line]
        for each in threads:
            each.start()
        for each in threads:
            each.join()

    written = path.read_bytes().splitlines()
    assert len(written) == 400
    assert set(written) == set(line.values())


def test_writing_inside_of_a_write_does_not_hang():
    """A signal handler or a finalizer that logs meets no lock of its own."""
    to, raw = handler()

    class Nested(Raw):
        def write(self, data):
            if not self.writes:
                self.writes.append(b"")
                to.write(b"inner")
            return raw.write(data)

    to._put = Nested().write
    to.write(b"outer")

    assert raw.taken == b"inner\nouter\n"


def test_record_that_can_not_be_told_says_so():
    """A message that does not fit its arguments becomes an event of its own."""
    to, raw = handler()
    record = logging.LogRecord('a"b', 20, "", 1, "%d of %d", ("x",), None)

    to.emit(record)

    line = json.loads(raw.taken)
    assert (line["event"], line["logger"]) == ("log_failed", 'a"b')
    assert line["problem"] == "TypeError"


def test_exit_is_clean_after_the_reader_is_gone():
    """The interpreter ends with its own code, not 120, and without complaint."""
    code = (
        "import sys, os\n"
        "from service.observability.logging import configure, get_logger\n"
        "from service.settings import LogSettings\n"
        "configure(LogSettings())\n"
        "sys.stdin.readline()\n"
        "get_logger('x').info('nobody_hears')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.close()
        process.stdin.write(b"go\n")
        process.stdin.close()
        complaint = process.stderr.read()

        assert process.wait(30) == 0
        assert complaint == b""
