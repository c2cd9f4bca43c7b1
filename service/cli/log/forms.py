"""Records as people and programs write and read them."""

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any

from service.cli.input import is_text

if TYPE_CHECKING:
    from service.commitlog.record import Record

__all__ = ["as_json", "from_json"]

_FIELDS = {"value", "key", "headers", "offset", "timestamp"}


def as_json(record: "Record") -> str:
    """Return *record* as a JSON object; value, key and headers' values in base64."""
    key = None if record.key is None else base64.b64encode(record.key).decode()
    return json.dumps(
        {
            "offset": record.offset,
            "timestamp": record.timestamp,
            "key": key,
            "headers": [
                [name, base64.b64encode(value).decode()]
                for name, value in record.headers
            ],
            "value": base64.b64encode(record.value).decode(),
        }
    )


def from_json(line: bytes) -> "Record":
    """
    Return the record of a JSON object, as `as_json` writes it; offset and timestamp are
    not looked at.

    Raises:
        ValueError: It is none.
    """
    from service.commitlog.record import Record

    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON") from None
    if not isinstance(found, dict) or "value" not in found:
        raise ValueError('it is no object with "value"')
    unknown = found.keys() - _FIELDS
    if unknown:
        raise ValueError(f"a record has no {min(unknown)!r}")
    key = found.get("key")
    return Record(
        _bytes(found["value"], "value"),
        None if key is None else _bytes(key, "key"),
        tuple(_header(each) for each in _list(found.get("headers") or [])),
    )


def _bytes(value: Any, name: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise ValueError(f"{name} is not base64") from None


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("headers are no list of pairs")  # noqa: TRY004 - of the input
    return value


def _header(pair: Any) -> tuple[str, bytes]:
    match pair:
        case [str(name), value] if is_text(name):
            return name, _bytes(value, f"header {name!r}")
        case _:
            raise ValueError("headers are no list of pairs")
