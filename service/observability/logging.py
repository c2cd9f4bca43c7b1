"""
Structured logs: every record of the process in one form, on one stream.

Our own events go through structlog to the standard library's loggers, where those of
uvicorn, asyncio, warnings and other libraries are; one handler at the root writes them
all. So one setting rules the level of each logger, whoever owns it, and other handlers
(a test's, an exporter's) see ordinary records.
"""

import contextlib
import logging
import sys
from typing import Any, TextIO

import structlog
from structlog.stdlib import BoundLogger, filter_by_level
from structlog.typing import EventDict, Processor
from typing_extensions import override

from service.observability.log_redaction import Redactor
from service.observability.log_stream import FIELDS, LineHandler
from service.settings import LogSettings

__all__ = ["adapt", "configure", "get_logger", "line_handler", "set_levels"]

_QUIET = {
    "alembic": "WARNING",
    "httpx2": "WARNING",
    "python_multipart": "ERROR",
    "uvicorn.access": "WARNING",
    "watchfiles": "WARNING",
}
"""Loggers that say nothing of use: our own access line and reload events say the same,
the HTTP client's has a provider's account in its URL, and a client must not be able to
fill the log with malformed forms."""

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "exception": logging.ERROR,
    "critical": logging.CRITICAL,
    "fatal": logging.CRITICAL,
}


class _Logger(BoundLogger):
    """Takes the chain's first step, the level check, before anything is built."""

    @override
    def _proxy_to_logger(
        self,
        method_name: str,
        event: str | None = None,
        *event_args: Any,
        **event_kw: Any,
    ) -> Any:
        chain: Any = self._processors
        # a test that captures events puts other processors into the chain
        if chain[0] is filter_by_level and not self._logger.isEnabledFor(
            _LEVELS[method_name]
        ):
            return None
        return super()._proxy_to_logger(method_name, event, *event_args, **event_kw)


def get_logger(name: str) -> BoundLogger:
    """
    Return the structured logger called *name*.

    Its methods are the levels: `log.info("event_name", key=value)`.
    """
    processors = _chain()
    return _Logger(logging.getLogger(name), processors=processors, context={})


def configure(settings: LogSettings, *, stream: TextIO | None = None) -> None:
    """
    Send every log record of the process to *stream*; may be called again.

    Args:
        settings: Form, levels and what is masked.
        stream: Where to; standard output without. It is never closed here.
    """
    out = sys.stdout if stream is None else stream
    as_json = settings.format == "json" or (
        settings.format == "auto" and not _is_terminal(out)
    )
    _chain()
    redactor = Redactor(settings.redact)
    _install(LineHandler(out, as_json=as_json, redactor=redactor))
    set_levels(settings)


def adapt(settings: LogSettings) -> None:
    """
    Follow other settings at once: the levels and what is masked.

    Args:
        settings: The settings, of which only what is live counts.
    """
    set_levels(settings)
    handler = line_handler()
    if handler is not None:
        handler.redactor = Redactor(settings.redact)


def set_levels(settings: LogSettings) -> None:
    """
    Set the level of the root and of single loggers, at once.

    A logger that is no longer named gets back the level that it had before.

    Args:
        settings: The levels.
    """
    handler = line_handler()
    replaced = {} if handler is None else handler.replaced_levels
    wanted = _QUIET | {name: each.upper() for name, each in settings.loggers.items()}
    for name in replaced.keys() - wanted:
        before = replaced.pop(name, None)  # another thread may do the same just now
        if before is not None:
            logging.getLogger(name).setLevel(before)
    logging.getLogger().setLevel(settings.level.upper())
    for name, level in wanted.items():
        logger = logging.getLogger(name)
        replaced.setdefault(name, logger.level)
        logger.setLevel(level)


def line_handler() -> LineHandler | None:
    """Return the handler that `configure` installed, or None before."""
    for handler in logging.root.handlers:
        if isinstance(handler, LineHandler):
            return handler
    return None


def _chain() -> list[Processor]:
    """Return structlog's processors, the same list at each call; ours unless set."""
    if not structlog.is_configured():
        structlog.configure(
            processors=[
                filter_by_level,
                structlog.stdlib.PositionalArgumentsFormatter(),
                _as_record,
            ],
            wrapper_class=_Logger,
            logger_factory=structlog.stdlib.LoggerFactory(),
        )
    processors: list[Processor] = structlog.get_config()["processors"]
    return processors


def _as_record(
    _logger: Any, _method: str, event_dict: EventDict
) -> tuple[tuple[Any], dict[str, Any]]:
    """Return what makes a record of the event: its name the message, its fields one."""
    event = event_dict.pop("event", "")
    known = ("exc_info", "stack_info", "stacklevel")
    options = {key: event_dict.pop(key) for key in known if key in event_dict}
    return (event,), {"extra": {FIELDS: event_dict}, **options}


def _is_terminal(stream: TextIO | None) -> bool:
    with contextlib.suppress(ValueError):
        return stream is not None and stream.isatty()
    return False


def _install(handler: LineHandler) -> None:
    """Make *handler* the only one of its kind, and every logger's."""
    root = logging.getLogger()
    while (old := line_handler()) is not None:
        handler.replaced_levels |= old.replaced_levels
        handler.sampler = old.sampler
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    logging.captureWarnings(capture=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
