"""
Structured logs: one line per event, JSON for machines, key=value for people.

Every record takes the same way, ours through structlog and those of uvicorn, asyncio
and other libraries through the standard library: fields are bound, secrets masked, and
one line is written in one call. A line has, in this order:

    timestamp (RFC 3339 in UTC), level, logger, event (snake_case), and the fields

Levels can change while the service runs (`set_levels`).
"""

import contextlib
import logging
import sys
import threading
import time
from typing import Any, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor
from typing_extensions import override

from service.settings import LogSettings

__all__ = ["LineHandler", "configure", "get_logger", "json_line", "set_levels"]

LEAD = ("timestamp", "level", "logger", "event")
"""Keys that begin each line, in this order."""

_QUIET = ("uvicorn.access", "watchfiles")
"""Loggers that say nothing of use: we have our own access line and reload events."""


class LineHandler(logging.Handler):
    """
    Writes whole lines to a stream.

    Attributes:
        as_json: Whether lines are JSON.
    """

    def __init__(self, stream: TextIO, *, as_json: bool) -> None:
        super().__init__()
        self.as_json = as_json
        self._stream = stream
        self._writing = threading.Lock()

    @override
    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            self.write_line(self.format(record))
        except Exception:  # noqa: BLE001 - a log line must never fail a request
            self.handleError(record)

    def write_line(self, line: str) -> None:
        """Write *line* in one call; a reader that is gone is no error of ours."""
        with self._writing, contextlib.suppress(OSError, ValueError):
            self._stream.write(line + "\n")
            self._stream.flush()

    @override
    def handleError(self, record: logging.LogRecord) -> None:
        """Say that a record could not be written, without its content."""
        self.write_line(
            f'{{"level":"error","event":"log_failed","at":"{record.name}"}}'
        )


def get_logger(name: str) -> Any:
    """
    Return the structured logger called *name*.

    Its methods are the levels: `log.info("event_name", key=value)`.
    """
    return structlog.stdlib.get_logger(name)


def configure(settings: LogSettings, *, stream: TextIO | None = None) -> None:
    """
    Send every log record of the process to *stream*; may be called again.

    Args:
        settings: Form and levels.
        stream: Where to; standard output without.
    """
    out = stream if stream is not None else sys.stdout
    as_json = settings.format == "json" or (
        settings.format == "auto" and not out.isatty()
    )
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        _stamp,
        _drop_color_message,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared[:3],
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared[4:],
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    handler = LineHandler(out, as_json=as_json)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _in_order,
                _render_json if as_json else _render_text,
            ],
        )
    )
    _install(handler)
    set_levels(settings)


def _install(handler: LineHandler) -> None:
    """Make *handler* the only one, and every logger's."""
    root = logging.getLogger()
    for old in root.handlers[:]:
        if isinstance(old, LineHandler):
            root.removeHandler(old)
    root.addHandler(handler)
    logging.captureWarnings(capture=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


def set_levels(settings: LogSettings) -> None:
    """Set the level of the root and of single loggers; others go back to the root's."""
    logging.getLogger().setLevel(settings.level.upper())
    wanted = {name: level.upper() for name, level in settings.loggers.items()}
    quiet = dict.fromkeys(_QUIET, "WARNING")
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger) and name not in quiet | wanted:
            logger.setLevel(logging.NOTSET)
    for name, level in (quiet | wanted).items():
        logging.getLogger(name).setLevel(level)


def json_line(fields: EventDict) -> str:
    """Return *fields* as one line of JSON; what JSON can't say becomes its text."""
    try:
        return orjson.dumps(fields, default=str, option=_JSON).decode()
    except TypeError:
        # a lone surrogate, a key that is no string, a value nested too deep
        return orjson.dumps(_plain(fields), default=str, option=_JSON).decode()


_JSON = orjson.OPT_NON_STR_KEYS


def _plain(fields: EventDict) -> dict[str, str]:
    return {
        _encodable(str(key)): _encodable(str(value)) for key, value in fields.items()
    }


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def timestamp() -> str:
    """Return the time as RFC 3339 in UTC, in milliseconds."""
    now = time.time()
    seconds = int(now)
    head = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{head}.{int((now - seconds) * 1000):03d}Z"


def _stamp(_logger: Any, _method: str, event_dict: EventDict) -> EventDict:
    event_dict["timestamp"] = timestamp()
    return event_dict


def _drop_color_message(_logger: Any, _method: str, event_dict: EventDict) -> EventDict:
    """Drop uvicorn's second copy of its message."""
    event_dict.pop("color_message", None)
    return event_dict


def _in_order(_logger: Any, _method: str, event_dict: EventDict) -> EventDict:
    lead = {key: event_dict.pop(key) for key in LEAD if key in event_dict}
    return {**lead, **event_dict}


def _render_json(_logger: Any, _method: str, event_dict: EventDict) -> str:
    return json_line(event_dict)


def _render_text(_logger: Any, _method: str, event_dict: EventDict) -> str:
    """Return `time level logger event key=value …`, control characters escaped."""
    exception = event_dict.pop("exception", None)
    lead = " ".join(_escaped(str(event_dict.pop(key, "-"))) for key in LEAD)
    rest = " ".join(f"{_escaped(key)}={_value(v)}" for key, v in event_dict.items())
    line = f"{lead} {rest}".rstrip()
    return f"{line}\n{exception}" if exception else line


def _value(value: object) -> str:
    text = _escaped(str(value))
    return repr(text) if " " in text or not text else text


def _escaped(text: str) -> str:
    """Return *text* without anything that could forge or garble a line."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode()
        for char in text
    )
