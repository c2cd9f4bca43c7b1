"""
The access line, by the shortest way: it is written once per request.

The way of every other event, through structlog and a log record, costs several times as
much as this and would be a large part of a small request. The line looks the same.
Lines that come close upon each other are written together, in one call of the kernel.
"""

import asyncio
import logging
import time
from typing import Any, NamedTuple

import orjson
from structlog.contextvars import get_contextvars

from service.observability.http_series import METHODS
from service.observability.log_lines import (
    LEAD,
    LONGEST,
    arranged,
    timestamp,
)
from service.observability.log_redaction import MASK, Redactor
from service.observability.log_sampler import Key, Sampler
from service.observability.log_stream import FIELDS, LineHandler
from service.observability.logging import line_handler

__all__ = ["AccessLog"]

_NAME = "httpserver.access"

TOGETHER = 0.02
"""Seconds that a line may wait for others, where the last one was not long ago."""

_FURTHER = {"trace_id", "span_id", "upstream", "upstream_duration"}
"""Further fields that lines have where requests are traced, or proxied."""

_CLASSES = tuple(f"{each}xx" for each in range(10))
"""Classes of statuses: a rare 500 is not lost among the 200s of its route."""

_MEMBERS = 1024
"""Pairs of method and route whose part of the line is remembered."""


class _Line(NamedTuple):
    time: float
    method: str
    route: str
    path: str
    status: int
    duration: float
    bytes: int
    client: str
    request_id: str
    extra: dict[str, Any]


class AccessLog:
    """
    Writes one line per request to the handler that `logging.configure` installed.

    What is bound to the log where it is made, such as the number of a worker, is on
    each line; what a request binds is not looked for again.

    Concurrency:
        Threads with an event loop of their own each have an instance of their own.
    """

    name = "access_log"

    def __init__(self) -> None:
        self._logger = logging.getLogger(_NAME)
        self._bound = arranged({}, get_contextvars())
        bound = orjson.dumps(self._bound, default=str)[1:-1]
        self._lead = b'"level":"info","logger":"%b","event":"request",%b' % (
            _NAME.encode(),
            bound + b"," if bound else b"",
        )
        self._leads: dict[tuple[str, str], bytes] = {}
        self._pending: list[_Line] = []
        self._written_at = 0.0
        self._redactor = Redactor()
        self._hidden: frozenset[str] = frozenset()

    async def start(self) -> None:
        """Do nothing: lines are written as they come."""

    async def stop(self) -> None:
        """Write what has come last."""
        self._flush()

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
        fields = (
            time.time(),
            method,
            route,
            path,
            status,
            duration,
            bytes,
            client,
            request_id,
            extra,
        )
        # a third of what _Line(…) takes
        self._pending.append(tuple.__new__(_Line, fields))
        if len(self._pending) == 1:
            self._flush_soon()

    def _flush_soon(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._flush()
        else:
            wait = self._written_at + TOGETHER - loop.time()
            loop.call_later(min(max(wait, 0.0), TOGETHER), self._flush)

    def _flush(self) -> None:
        """Write what has come since the last time."""
        lines, self._pending = self._pending, []
        self._written_at = time.monotonic()
        if not lines or not self._logger.isEnabledFor(logging.INFO):
            return
        handler = line_handler()
        if handler is None:
            self._tell_others(lines)
            return
        if handler.sampler is not None:
            lines = _sampled(lines, handler.sampler)
        if handler.redactor is not self._redactor:
            self._follow(handler.redactor)
        if lines:
            handler.write(b"\n".join([self._rendered(handler, each) for each in lines]))

    def _tell_others(self, lines: list[_Line]) -> None:
        """Hand the lines to the handlers of somebody who embeds the service."""
        for each in lines:
            line = self._fields(each)
            fields = {key: line[key] for key in line if key not in LEAD}
            self._logger.info("request", extra={FIELDS: fields})

    def _follow(self, redactor: Redactor) -> None:
        """Look once which of the line's fields are masked: none, as a rule."""
        names = {*self._bound, *_Line._fields, *_FURTHER}
        self._hidden = frozenset(each for each in names if redactor.hides(each))
        self._redactor = redactor

    def _rendered(self, handler: LineHandler, line: _Line) -> bytes:
        path = line.path
        known = not line.extra or line.extra.keys() <= _FURTHER
        plain = handler.as_json and known and not self._hidden
        if plain and path.isprintable() and path.isascii():
            written = self._short_way(line)
            if len(written) <= LONGEST:
                return written
        return handler.render(self._fields(line))

    def _short_way(self, line: _Line) -> bytes:
        """Return the line as `json_line` would, its parts put together by hand."""
        at, method, route, path, status, took, size, client, request_id, extra = line
        lead = self._leads.get((method, route))
        if lead is None:
            lead = self._remembered(method, route)
        traced = b"," + orjson.dumps(extra)[1:-1] if extra else b""
        return (
            b'{"timestamp":"%b",%b%b,"status":%d,"duration":%.6f,"bytes":%d,'
            b'"client":%b,"request_id":%b%b}'
        ) % (
            timestamp(at).encode(),
            lead,
            orjson.dumps(path),
            status,
            took,
            size,
            orjson.dumps(client),
            orjson.dumps(request_id),
            traced,
        )

    def _remembered(self, method: str, route: str) -> bytes:
        """Return what all lines of a method and route have in common."""
        members = (self._lead, orjson.dumps(method), orjson.dumps(route))
        lead = b'%b"method":%b,"route":%b,"path":' % members
        if len(self._leads) < _MEMBERS:
            self._leads[method, route] = lead
        return lead

    def _fields(self, line: _Line) -> dict[str, Any]:
        fields = {
            "timestamp": timestamp(line.time),
            "level": "info",
            "logger": _NAME,
            "event": "request",
            **self._bound,
            "method": line.method,
            "route": line.route,
            "path": line.path,
            "status": line.status,
            "duration": round(line.duration, 6),
            "bytes": line.bytes,
            "client": line.client,
            "request_id": line.request_id,
        }
        fields |= dict.fromkeys(self._hidden & fields.keys() - LEAD, MASK)
        if line.extra:
            arranged(fields, self._redactor.fields(line.extra))
        return fields


def _sampled(lines: list[_Line], sampler: Sampler) -> list[_Line]:
    """Return the lines that are written, with the number of those left out before."""
    written, ask, now = [], sampler.ask, sampler.clock()
    for each in lines:
        dropped = ask("info", _key(each), now)
        if dropped:
            written.append(each._replace(extra={**each.extra, "dropped": dropped}))
        elif dropped is not None:
            written.append(each)
    return written


def _key(line: _Line) -> Key:
    method = line.method if line.method in METHODS else "other"
    return ("info", _NAME, "request", method, line.route, _CLASSES[line.status // 100])
