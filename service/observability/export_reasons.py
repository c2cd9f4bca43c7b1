"""
Why an export failed, which OpenTelemetry's exporters tell nobody but their log.

For spans and metrics, which share those exporters' loggers.

They write a line or more at each attempt, at ERROR: a collector that is away for an
hour is one event, and ours to tell. Their lines are heard here instead of written.
"""

import contextlib
import logging
import threading
from collections.abc import Iterator

from typing_extensions import override

__all__ = ["Reasons"]

_EXPORTERS = "opentelemetry.exporter"

_NOISY = (
    "opentelemetry.baggage",
    "opentelemetry.sdk._shared_internal",
    "opentelemetry.trace",
)
"""Loggers that write what clients send, or a line for each span that is too many."""


class Reasons(logging.Handler):
    """
    Listens to the exporters' log.

    A logger that the settings give a level of its own is left alone: whoever does that
    wants to read it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._heard: list[str] = []
        self._thread: int | None = None
        self._muted = False
        self._quieted: list[logging.Logger] = []

    def listen(self) -> None:
        """Take the exporters' lines from now on, and keep those who write too much."""
        exporters = logging.getLogger(_EXPORTERS)
        exporters.addHandler(self)
        if exporters.level == logging.NOTSET and exporters.propagate:
            exporters.propagate = False
            self._muted = True
        for logger in map(logging.getLogger, _NOISY):
            if logger.level == logging.NOTSET:
                logger.setLevel(logging.CRITICAL)
                self._quieted.append(logger)

    def leave(self) -> None:
        """Leave the log as it was."""
        exporters = logging.getLogger(_EXPORTERS)
        exporters.removeHandler(self)
        others = [each for each in exporters.handlers if isinstance(each, Reasons)]
        if self._muted and others:  # whoever leaves last gives the lines back
            others[0]._muted, self._muted = True, False  # noqa: SLF001 - of this class
        if self._muted:
            exporters.propagate, self._muted = True, False
        for logger in self._quieted:
            logger.setLevel(logging.NOTSET)
        self._quieted.clear()

    @contextlib.contextmanager
    def heard(self) -> Iterator[list[str]]:
        """Give what this thread's exporter says until the block ends."""
        self._heard = []
        self._thread = threading.get_ident()
        try:
            yield self._heard
        finally:
            self._thread = None

    @override
    def emit(self, record: logging.LogRecord) -> None:
        """Keep the text of a record."""
        if record.thread == self._thread:
            self._heard.append(record.getMessage())
