"""The line that each call leaves in the log, and the id by which it is found."""

import logging
import random
from collections.abc import Iterable
from typing import Any, TypeAlias

import grpc

from service.log_service.access import Context, address_of
from service.observability.log_stream import FIELDS
from service.server.filters import SANE_ID

__all__ = [
    "LOGGER",
    "REQUEST_ID",
    "Metadata",
    "code_of",
    "request_id_of",
    "write_line",
]

LOGGER = "httpserver.grpc"

REQUEST_ID = "x-request-id"
"""Name of the id in the metadata of the call, and of its answer."""

Metadata: TypeAlias = Iterable[tuple[str, str | bytes]]

_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}


def write_line(method: str, context: Context, code: str, seconds: float) -> None:
    """Log the end of a call to *method*, which took so many seconds."""
    # structlog, and the search for the line of code that logs, double the cost
    logger = logging.getLogger(LOGGER)
    if logger.isEnabledFor(logging.INFO):
        record = logging.LogRecord(LOGGER, logging.INFO, __file__, 0, "call", (), None)
        fields = {"method": method, "code": code, "duration": round(seconds, 6)}
        setattr(record, FIELDS, fields | {"client": address_of(context)})
        logger.handle(record)


def code_of(context: Context) -> str:
    """Return the name of the code that the call was ended with."""
    found: Any = context.code()
    number = found.value[0] if isinstance(found, grpc.StatusCode) else found
    return _NAMES.get(number, "UNKNOWN")


def request_id_of(metadata: Metadata) -> str:
    """Return the caller's id of the request where it is sane, else a new one."""
    for name, value in metadata:
        given = value.encode() if isinstance(value, str) else value
        if name == REQUEST_ID and SANE_ID.fullmatch(given):
            return given.decode()
    return f"{random.getrandbits(128):032x}"
