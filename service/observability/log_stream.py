"""
The end of every log record: one line, one write, and never a failed request for it.

It writes past the stream's buffer. A buffer would keep what a closed pipe refused and
fail again when the interpreter ends, with exit code 120 after a clean stop.
"""

import contextlib
import io
import logging
import threading
from collections.abc import Callable
from typing import Any, TextIO

from structlog.contextvars import get_contextvars
from typing_extensions import override

from service.observability.log_lines import (
    arranged,
    json_line,
    text_line,
    timestamp,
)
from service.observability.log_redaction import Redactor
from service.observability.log_sampler import Key, Sampler

__all__ = ["FIELDS", "LineHandler"]

FIELDS = "structured_fields"
"""Attribute of a log record that holds the fields of a structured event."""

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {
    "asctime",
    "color_message",  # uvicorn's second copy of its message
    "message",
    "taskName",  # since Python 3.12
    FIELDS,
}
"""Attributes of a log record that are no field of its line."""

_KEPT = 100
"""Characters of an event that tell it from others when lines are sampled."""


class LineHandler(logging.Handler):
    """
    Writes each record as one line.

    Args:
        stream: Where to; None drops every line, as a process without stdout must.
        as_json: JSON, else `key=value`.
        redactor: What masks the secrets in fields and texts.

    Attributes:
        as_json: Whether the lines are JSON.
        render: Makes a line of its fields.
        redactor: What masks the secrets in fields and texts.
        sampler: What leaves lines of a flood out, or None.
        replaced_levels: Levels that loggers had before the settings overrode them.

    Concurrency:
        Any thread; lines are never mixed.
    """

    def __init__(
        self,
        stream: TextIO | None,
        *,
        as_json: bool,
        redactor: Redactor | None = None,
    ) -> None:
        super().__init__()
        self.as_json = as_json
        self.render = json_line if as_json else text_line
        self.redactor = redactor or Redactor()
        self.sampler: Sampler | None = None
        self.replaced_levels: dict[str, int] = {}
        self._put = _writer(stream)
        # reentrant: a signal handler or a finalizer may log while a line is written
        self._writing = threading.RLock()
        self._torn = False

    @override
    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; its logger and time alone if the rest can't be told."""
        dropped = 0 if self.sampler is None else self.sampler.ask(*_asked(record))
        if dropped is None:
            return
        told = {"dropped": dropped} if dropped else {}
        try:
            line = self.render(self.redactor.fields(_fields_of(record)) | told)
        except Exception as error:  # noqa: BLE001 - a log line must never fail a request
            failed = {"problem": type(error).__name__} | told
            line = self.render(arranged(_lead(record, "log_failed"), failed))
        self.write(line)

    def tell(self, fields: dict[str, Any]) -> None:
        """
        Write a line that no record is behind; it is not sampled.

        Args:
            fields: Keys and values, in the order of the line.
        """
        self.write(self.render(self.redactor.fields(fields)))

    def write(self, line: bytes) -> None:
        """
        Write a whole line; a reader that is gone or too slow loses it.

        Args:
            line: The line without its end.
        """
        with self._writing:
            data = b"\n" + line + b"\n" if self._torn else line + b"\n"
            try:
                written = self._put(data)
                if written != len(data):
                    self._put_rest(data, written or 0)
                else:
                    self._torn = False
            except (OSError, ValueError):
                return  # closed, by us or by the reader

    def _put_rest(self, data: bytes, begun: int) -> None:
        """Write what the stream has not taken yet, as long as it takes some."""
        while 0 < begun < len(data):
            self._torn = True
            data = data[begun:]
            begun = self._put(data) or 0
        self._torn = self._torn and begun == 0


def _writer(stream: TextIO | None) -> Callable[[bytes], int | None]:
    """Return what writes bytes to *stream* at once and tells how many it took."""
    if stream is None:
        return len
    with contextlib.suppress(OSError, ValueError):
        stream.flush()
    buffer: Any = getattr(stream, "buffer", None)
    if buffer is None:
        return _text_writer(stream)
    raw: io.RawIOBase = getattr(buffer, "raw", buffer)
    return raw.write


def _text_writer(stream: TextIO) -> Callable[[bytes], int]:
    def put(data: bytes) -> int:
        stream.write(data.decode())
        return len(data)

    return put


def _asked(record: logging.LogRecord) -> tuple[str, Key]:
    """Return level and key of a record: its event without the values."""
    message = record.msg
    event = message[:_KEPT] if isinstance(message, str) else type(message).__name__
    level = record.levelname.lower()
    return level, (level, record.name, event)


def _lead(record: logging.LogRecord, event: str) -> dict[str, Any]:
    return {
        "timestamp": timestamp(record.created),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": event,
    }


def _fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return the line's keys and values: bound context, then fields, then the trace."""
    line = arranged(_lead(record, record.getMessage()), get_contextvars())
    own = getattr(record, FIELDS, None)
    if own is None:
        own = {k: v for k, v in vars(record).items() if k not in _STANDARD}
    arranged(line, own)
    if record.exc_info and record.exc_info[0]:
        line["exception"] = _TRACES.formatException(record.exc_info)
    if record.stack_info:
        line["stack"] = record.stack_info
    return line


_TRACES = logging.Formatter()
