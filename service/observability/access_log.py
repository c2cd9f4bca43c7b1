"""
The access line, by the shortest way: it is written once per request.

The way of every other event, through structlog and a log record, costs several times as
much as this and would be a large part of a small request. The line looks the same.
"""

import logging
import time
from typing import Any

from structlog.contextvars import get_contextvars

from service.observability.log_lines import LEAD, arranged, json_line, timestamp
from service.observability.log_stream import FIELDS
from service.observability.logging import line_handler

__all__ = ["AccessLog"]

_NAME = "httpserver.access"


class AccessLog:
    """
    Writes one line per request to the handler that `logging.configure` installed.

    What is bound to the log where it is made, such as the number of a worker, is on
    each line; what a request binds is not looked for again.

    Concurrency:
        Any thread.
    """

    def __init__(self) -> None:
        self._logger = logging.getLogger(_NAME)
        self._bound = arranged({}, get_contextvars())

    def write(
        self,
        *,
        method: str,
        route: str,
        path: str,
        status: int,
        duration: float,
        bytes: int,  # noqa: A002 - the field's name in the log
        client: str,
        request_id: str,
        **extra: Any,
    ) -> None:
        """
        Write the line of one request.

        Args:
            method: Request method.
            route: Template of the route, empty where none matched.
            path: Path, percent-decoded.
            status: Status that was sent.
            duration: Seconds from the first filter to the sent answer.
            bytes: Bytes of body that were sent.
            client: Address of the client.
            request_id: Request id.
            extra: Further fields, such as the ids of a trace.
        """
        if not self._logger.isEnabledFor(logging.INFO):
            return
        line = {
            "timestamp": timestamp(time.time()),
            "level": "info",
            "logger": _NAME,
            "event": "request",
            **self._bound,
            "method": method,
            "route": route,
            "path": path,
            "status": status,
            "duration": round(duration, 6),
            "bytes": bytes,
            "client": client,
            "request_id": request_id,
        }
        if extra:
            arranged(line, extra)
        handler = line_handler()
        if handler is not None and handler.as_json:
            handler.write(json_line(line))
        else:
            fields = {key: line[key] for key in line if key not in LEAD}
            self._logger.info("request", extra={FIELDS: fields})
