"""
What is known of an upload that can be resumed, on disk beside what came of it.

A record is a small JSON document, replaced as a whole, so that a kill leaves the one
before or the one after. Its members are those of `Record`; digests are in hex.
"""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from service.files.arrivals import write_all
from service.files.conditions import Condition
from service.files.digests import Digests

__all__ = ["FRESH", "Record", "read_record", "write_record"]

FRESH = ".new"
"""What the name of a record has at its end until it is whole."""

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """
    An upload that can be resumed.

    Attributes:
        path: Where the file will be.
        user: Who began it; empty for nobody in particular.
        length: Bytes of the whole file; None as long as nobody said so.
        condition: Which version must be there at its end.
        digests: What the whole file must have.
        complete: Whether it has become a file.
    """

    path: str
    user: str = ""
    length: int | None = None
    condition: Condition = field(default_factory=Condition)
    digests: Digests = field(default_factory=dict)
    complete: bool = False


def write_record(directory: int, name: str, record: Record) -> None:
    """Keep *record* as the file *name*, for good."""
    document = asdict(record) | {
        "digests": {each: value.hex() for each, value in record.digests.items()}
    }
    fresh = name + FRESH
    try:
        _write(directory, fresh, json.dumps(document).encode())
        os.rename(fresh, name, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError:
        with suppress(OSError):
            os.unlink(fresh, dir_fd=directory)
        raise
    os.fsync(directory)


def _write(directory: int, name: str, data: bytes) -> None:
    descriptor = os.open(name, _FLAGS, 0o600, dir_fd=directory)
    try:
        write_all(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_record(directory: int, name: str) -> Record:
    """
    Return the record in the file *name*.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is none.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, dir_fd=directory), "rb") as file:
        document: dict[str, Any] = json.load(file)
    try:
        digests = {k: bytes.fromhex(v) for k, v in document.pop("digests").items()}
        condition = Condition(**document.pop("condition"))
        return Record(**document, digests=digests, condition=condition)
    except (KeyError, TypeError) as error:
        raise ValueError("it is no record of an upload") from error
