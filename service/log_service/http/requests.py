"""
What producers send, read strictly: the JSON form of the messages of `log.v1`.

    {"value": "aGk=", "key": "YQ==", "headers": [{"name": "h", "value": "eA=="}]}
    {"records": [...]}    several, stored one after the other or not at all

Bytes are base64 with padding, of the alphabet with `+` and `/` (RFC 4648 §4).
"""

import base64
from typing import Any, NoReturn

from service.commitlog import Record
from service.errors import Unprocessable, UnsupportedMediaType
from service.log_service.messages import MOST_HEADERS
from service.server.context import RequestContext
from service.server.reading import is_json, media_type
from service.server.responses import JSON

__all__ = ["MOST_RECORDS", "number", "read_records"]

MOST_RECORDS = 1000
"""Records of one request, and of one page."""

_MOST_DIGITS = 18
"""Of an offset: any that there can be is below 10^18."""


async def read_records(ctx: RequestContext) -> list[Record]:
    """
    Return the records of the body, at least one.

    Raises:
        UnsupportedMediaType: It does not say that it is JSON: other sites' pages may
            send whatever says nothing.
        BadRequest: It is not JSON.
        Unprocessable: It is no record.
    """
    if not is_json(media_type(ctx.headers)):
        detail = f"A record is sent as {JSON}."
        raise UnsupportedMediaType(detail, headers={"accept": JSON})
    return records_of(await ctx.read_json())


def records_of(body: Any) -> list[Record]:
    """
    Return the records in *body*.

    Raises:
        Unprocessable: It has none, or one is not as it should be.
    """
    if not isinstance(body, dict):
        _wrong("", "is an object")
    if "records" not in body:
        _check_headers([body])
        return [_record(body, "")]
    records = _members(body, {"records"}, "")["records"]
    if not isinstance(records, list) or not 0 < len(records) <= MOST_RECORDS:
        _wrong("records", f"is a list of 1 to {MOST_RECORDS} records")
    _check_headers(records)
    return [_record(each, f"records[{at}]") for at, each in enumerate(records)]


def number(text: str, name: str) -> int:
    """
    Return the whole number that a query or path holds.

    Raises:
        Unprocessable: It is none.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        _wrong(name, "is a whole number from 0")
    return int(text)


def _record(body: Any, place: str) -> Record:
    given = _members(body, {"value", "key", "headers"}, place)
    if "value" not in given:
        _wrong(_at(place, "value"), "is needed")
    key = given.get("key")
    return Record(
        _bytes(given["value"], _at(place, "value")),
        None if key is None else _bytes(key, _at(place, "key")),
        _headers(given.get("headers", []), _at(place, "headers")),
    )


def _check_headers(records: list[Any]) -> None:
    """Refuse very many before there is an object of each."""
    listed = [each.get("headers") for each in records if isinstance(each, dict)]
    if sum(len(each) for each in listed if isinstance(each, list)) > MOST_HEADERS:
        _wrong("headers", f"are at most {MOST_HEADERS}, of all records together")


def _headers(listed: Any, place: str) -> tuple[tuple[str, bytes], ...]:
    if not isinstance(listed, list):
        _wrong(place, "is a list of objects with name and value")
    return tuple(_header(each, f"{place}[{at}]") for at, each in enumerate(listed))


def _header(body: Any, place: str) -> tuple[str, bytes]:
    given = _members(body, {"name", "value"}, place)
    name = given.get("name")
    if not isinstance(name, str):
        _wrong(_at(place, "name"), "is a string")
    return name, _bytes(given.get("value"), _at(place, "value"))


def _members(body: Any, known: set[str], place: str) -> dict[str, Any]:
    if not isinstance(body, dict):
        _wrong(place, "is an object")
    if not body.keys() <= known:
        _wrong(place, f"has no other members than {', '.join(sorted(known))}")
    return body


def _bytes(text: Any, place: str) -> bytes:
    if not isinstance(text, str):
        _wrong(place, "is a string of base64")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        _wrong(place, "is base64 with padding")


def _at(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _wrong(place: str, rule: str) -> NoReturn:
    told = {"reason": "invalid_request", "field": place}
    raise Unprocessable(f"{place or 'The body'} {rule}.", extensions=told)
