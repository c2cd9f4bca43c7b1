"""
A record as a NATS message, and back.

The value is the payload as it is, so that any client of NATS can read it. A key is in
the header `Log-Key`, percent-encoded; headers are in one header `Log-Headers` as a
query string (`name=value&name=value`), because NATS takes neither bytes nor white space
in its own, and clients differ on names that come twice. A message of somebody else has
neither of them: a record without key and headers.

A record with the header `Nats-Msg-Id` is stored once within the duplicate window: one
with the same id gets the offset of the first.
"""

from collections.abc import Mapping
from urllib.parse import quote, unquote_to_bytes, urlencode

from service.commitlog.errors import BadRecords, RecordTooLarge
from service.commitlog.record import Record

__all__ = ["MESSAGE_ID", "from_message", "message_id", "to_headers", "with_message_id"]

MESSAGE_ID = "Nats-Msg-Id"
"""Header of a record, and of a message, by which a duplicate is known."""
_KEY = "Log-Key"
_HEADERS = "Log-Headers"
_MOST_HEADER_BYTES = 60_000
"""Of a message: the server takes 64 KiB, its own and the ids included."""
_LONGEST_ID = 255


def to_headers(record: Record) -> dict[str, str]:
    """
    Return the headers of the message of *record*.

    Raises:
        RecordTooLarge: They are over what a server takes.
    """
    headers = {}
    if record.key is not None:
        headers[_KEY] = quote(record.key, safe="")
    if record.headers:
        headers[_HEADERS] = urlencode(record.headers, quote_via=quote)
    if sum(map(len, headers.values())) > _MOST_HEADER_BYTES:
        raise RecordTooLarge(f"key and headers are over {_MOST_HEADER_BYTES} bytes")
    return headers


def from_message(
    value: bytes, headers: Mapping[str, str] | None, offset: int, timestamp: int
) -> Record:
    """Return the record of a message; *timestamp* is milliseconds since 1970."""
    if not headers:
        return Record(value, None, (), offset, timestamp)
    key, packed = headers.get(_KEY), headers.get(_HEADERS)
    return Record(
        value,
        None if key is None else unquote_to_bytes(key),
        _pairs(packed) if packed else (),
        offset,
        timestamp,
    )


def message_id(record: Record) -> str | None:
    """
    Return the id that the producer gave *record*, if any.

    Raises:
        BadRecords: It can't be sent: empty, too long, or not printable ASCII.
    """
    for name, value in record.headers:
        if name == MESSAGE_ID:
            text = value.decode("latin-1")
            if not 0 < len(text) <= _LONGEST_ID or not _is_plain(text):
                raise BadRecords(f"{MESSAGE_ID} is not 1-{_LONGEST_ID} printable bytes")
            return text
    return None


def with_message_id(record: Record, identity: str) -> Record:
    """Return *record* with the id *identity*, unless its producer gave it one."""
    if any(name == MESSAGE_ID for name, _ in record.headers):
        return record
    mine = (MESSAGE_ID, identity.encode())
    return record._replace(headers=(*record.headers, mine))


def _is_plain(text: str) -> bool:
    return all("!" <= character <= "~" for character in text)


def _pairs(packed: str) -> tuple[tuple[str, bytes], ...]:
    # by hand: values are bytes, and what another client wrote may be any text
    parts = (each.partition("=") for each in packed.split("&") if each)
    return tuple(
        (_unquoted(name).decode("utf-8", "replace"), _unquoted(value))
        for name, _, value in parts
    )


def _unquoted(text: str) -> bytes:
    return unquote_to_bytes(text.replace("+", " "))
