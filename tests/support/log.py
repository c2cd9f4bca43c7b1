"""The log of the service, kept in memory and read back."""

import contextlib
import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

from service.observability import logging as log_setup
from service.observability.log_stream import LineHandler
from service.settings import LogSettings

__all__ = ["Log", "logged", "unseen"]


class Log:
    """What was logged."""

    def __init__(self) -> None:
        self.stream = io.TextIOWrapper(io.BytesIO(), "utf-8", newline="")

    def configure(self, **settings: Any) -> None:
        """Log to this stream from now on."""
        log_setup.configure(LogSettings(**settings), stream=self.stream)

    @property
    def text(self) -> str:
        return self.stream.buffer.getvalue().decode()  # type: ignore[attr-defined]

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Each line's JSON; only a line feed ends a line."""
        assert self.text.endswith("\n") or not self.text
        return [json.loads(each) for each in self.text.split("\n")[:-1]]


@contextlib.contextmanager
def logged(**settings: Any) -> Iterator[Log]:
    """Log into memory alone until the block ends; then everything is as it was."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers.copy()
    root.handlers.clear()
    log = Log()
    log.configure(**{"format": "json", **settings})
    try:
        yield log
    finally:
        for each in root.handlers.copy():
            if isinstance(each, LineHandler):
                for name, before in each.replaced_levels.items():
                    logging.getLogger(name).setLevel(before)
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.captureWarnings(capture=False)


def unseen(text: str) -> list[str]:
    """Return what a terminal or a reader of lines could act upon."""
    return re.findall("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", text)
