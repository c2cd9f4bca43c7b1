"""
All contacts of a database as a file, the same for every kind of database.

What is in it is one moment of the database: a snapshot transaction reads it, while
others go on to write. It does not depend on the schema: what is derived for searching
and sorting is left out, and made anew by whatever version restores it. So a move from
SQLite to PostgreSQL is a backup and a restore.

    {"format": "httpserver.phonebook.backup", "version": 1, "schema": "0001",
     "created_at": 1795271655140038, "contacts": 2, "keys": 1}
    {"id": …, "version": …, "created_at": …, "updated_at": …, "fields": {…}}
    {"id": …, …}
    {"key": …, "fingerprint": …, "answer": …, "expires_at": …}
    {"sha256": "…"}

Each is a line of JSON in UTF-8: the head, so many contacts, so many idempotency keys
(what was done once stays done once), and the checksum of all bytes before it. Times are
microseconds since 1970, UTC. A file that was cut or altered has no right checksum; who
wants to know that nobody forged one must sign it.
"""

import hashlib
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from typing import Any, BinaryIO, Literal, TypeVar

import orjson
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import column, func, inspect, select, table, text
from sqlalchemy.ext.asyncio import AsyncConnection

from service.phonebook.databases import Database, translated
from service.phonebook.model import Contact
from service.phonebook.rows import from_row
from service.phonebook.tables import CONTACTS, KEYS

__all__ = ["Damaged", "Head", "Key", "NoPhonebook", "backup", "records"]

FORMAT: Literal["httpserver.phonebook.backup"] = "httpserver.phonebook.backup"
VERSION = 1

_AT_ONCE = 500
_MOST = 100_000
"""Bytes of a line, at most; a contact has some ten thousand at worst."""

_VERSIONS = table("phonebook_version", column("version_num"))

T = TypeVar("T")


class Damaged(Exception):
    """A file is no backup, or not as it was written."""


class NoPhonebook(Exception):
    """The database has no phone book."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """
    What a backup says of itself.

    Attributes:
        format: Always the same.
        version: Of the format.
        schema: Version of the schema that it was read from.
        created_at: Microseconds since 1970, UTC.
        contacts: How many there are.
        keys: How many idempotency keys there are.
    """

    format: Literal["httpserver.phonebook.backup"]
    version: int
    schema: str
    created_at: int
    contacts: int
    keys: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """
    An idempotency key with the answer that it stands for, as its table keeps it.

    Attributes:
        key: Key, with who sent it.
        fingerprint: Equal for equal requests.
        answer: The contact as it was added.
        expires_at: Microseconds since 1970, UTC.
    """

    key: str
    fingerprint: str
    answer: str
    expires_at: int


_HEAD = TypeAdapter(Head)
_CONTACT = TypeAdapter(Contact)
_KEY = TypeAdapter(Key)


async def backup(database: Database) -> AsyncIterator[tuple[Head, bytes]]:
    """
    Yield a backup in pieces, each with its head.

    Args:
        database: Where the contacts are; others may write to it.

    Raises:
        NoPhonebook: It has no contacts' table.
        StoreUnavailable: It is away, or went away.
    """
    digest = hashlib.sha256()
    with translated():
        async with _snapshot(database) as connection:
            head = await _head(connection)
            async for piece in _pieces(connection, head):
                digest.update(piece)
                yield head, piece
    yield head, _line({"sha256": digest.hexdigest()})


def records(file: BinaryIO) -> Iterator[Head | Contact | Key]:
    """
    Yield what is in a backup: its head, its contacts, its keys.

    What was yielded is good only when the end was reached.

    Raises:
        Damaged: It is none, or not as it was written.
        OSError: It can't be read.
    """
    digest = hashlib.sha256()

    def line() -> bytes:
        found = file.readline(_MOST)
        if not found.endswith(b"\n"):
            raise Damaged("it was cut off")
        return found

    def record(kind: TypeAdapter[T]) -> T:
        found = line()
        digest.update(found)
        try:
            return kind.validate_json(found, strict=True, extra="forbid")
        except ValidationError:
            raise Damaged("it is no backup, or of a newer version") from None

    head = record(_HEAD)
    if head.version != VERSION:
        raise Damaged("it was made by a newer version")
    yield head
    for _ in range(head.contacts):
        yield record(_CONTACT)
    for _ in range(head.keys):
        yield record(_KEY)
    if line() != _line({"sha256": digest.hexdigest()}):
        raise Damaged("its checksum is wrong: it was altered")
    if file.read(1):
        raise Damaged("something follows its end")


@asynccontextmanager
async def _snapshot(database: Database) -> AsyncIterator[AsyncConnection]:
    """Give a connection that sees one moment, for as long as it takes."""
    async with database.readers.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection = await connection.execution_options(  # noqa: PLW2901 - itself
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            for limit in ("statement_timeout", "idle_in_transaction_session_timeout"):
                await connection.execute(text(f"SET LOCAL {limit} = 0"))
        yield connection


async def _head(connection: AsyncConnection) -> Head:
    names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    if not {CONTACTS.name, KEYS.name, _VERSIONS.name} <= {*names}:
        raise NoPhonebook
    schema = await connection.scalar(select(_VERSIONS.c.version_num))
    return Head(
        format=FORMAT,
        version=VERSION,
        schema=str(schema),
        created_at=time.time_ns() // 1000,
        contacts=await _count(connection, CONTACTS),
        keys=await _count(connection, KEYS),
    )


async def _count(connection: AsyncConnection, of: Any) -> int:
    return int(await connection.scalar(select(func.count()).select_from(of)) or 0)


async def _pieces(connection: AsyncConnection, head: Head) -> AsyncIterator[bytes]:
    yield _line(head)
    everybody = await connection.stream(select(CONTACTS).order_by(CONTACTS.c.id))
    async for rows in everybody.partitions(_AT_ONCE):
        yield b"".join(_line(from_row(row)) for row in rows)
    keys = await connection.stream(select(KEYS).order_by(KEYS.c.key))
    async for rows in keys.partitions(_AT_ONCE):
        yield b"".join(_line(_key(row)) for row in rows)


def _key(row: Any) -> Key:
    names = (each.name for each in fields(Key))
    return Key(**{name: getattr(row, name) for name in names})


def _line(value: Any) -> bytes:
    return orjson.dumps(value) + b"\n"
