"""
The access line, by the shortest way: it is written once per request.

The full structlog chain costs several times as much as a small request itself; here the
line is rendered at once and given to the same handler, in the same form.
"""

import logging

from service.observability.logging import LineHandler, json_line, timestamp

__all__ = ["AccessLog"]

_LOGGER = "httpserver.access"


class AccessLog:
    """Writes one line per request to the handler that `logging.configure` installed."""

    def __init__(self) -> None:
        self._logger = logging.getLogger(_LOGGER)

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
        """
        if not self._logger.isEnabledFor(logging.INFO):
            return
        fields = {
            "timestamp": timestamp(),
            "level": "info",
            "logger": _LOGGER,
            "event": "request",
            "method": method,
            "route": route,
            "path": path,
            "status": status,
            "duration": round(duration, 6),
            "bytes": bytes,
            "client": client,
            "request_id": request_id,
        }
        for handler in self._logger.root.handlers:
            if isinstance(handler, LineHandler) and handler.as_json:
                handler.write_line(json_line(fields))
                return
        del fields["timestamp"], fields["level"], fields["logger"], fields["event"]
        self._logger.info("request", extra=fields)
