"""
What a transaction is made of: the statements that change contacts, their words and
the keys of requests.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Table, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.phonebook.databases import translated
from service.phonebook.model import Contact
from service.phonebook.rows import as_json, contact_row, from_json, from_row, word_rows
from service.phonebook.store import (
    Added,
    Duplicate,
    NotFound,
    OnceKey,
    OtherRequest,
    StoreUnavailable,
)
from service.phonebook.tables import CONTACTS, KEYS, WORDS

__all__ = [
    "adding",
    "existing",
    "insert",
    "insert_words",
    "replayed",
    "take",
    "transaction",
    "write",
]

_SWEPT = 100
"""Outdated keys that are taken away with each new one, at most."""


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Commit what the block does, or nothing of it; tell failures in our words."""
    with translated():
        async with engine.begin() as connection:
            yield connection


def adding(connection: AsyncConnection, table: Table) -> Any:
    """Return the statement that inserts rows, but those that are there already."""
    sql = sqlite if connection.dialect.name == "sqlite" else postgresql
    return sql.insert(table).on_conflict_do_nothing()


async def insert(
    connection: AsyncConnection, table: Table, row: dict[str, Any]
) -> bool:
    """Insert *row* and tell whether there was no such row."""
    statement = adding(connection, table).values(row)
    key = next(iter(table.primary_key))
    return await connection.scalar(statement.returning(key)) is not None


async def existing(
    connection: AsyncConnection,
    contact_id: str,
    absent: type[Exception] = NotFound,
    *,
    lock: bool = False,
) -> Contact:
    """
    Return a contact that is there.

    Args:
        connection: Of the transaction.
        contact_id: Of the contact.
        absent: What is raised when there is none.
        lock: Whether nobody else may change it until the transaction ends.
    """
    statement = select(CONTACTS).where(CONTACTS.c.id == contact_id)
    if lock:  # SQLite has locked the whole file, and leaves this out
        statement = statement.with_for_update()
    row = (await connection.execute(statement)).one_or_none()
    if row is None:
        raise absent
    return from_row(row)


async def take(
    connection: AsyncConnection, once: OnceKey, contact: Contact, *, now: int
) -> bool:
    """Take the key for *contact* at *now* (microseconds); tell whether it was free."""
    over = select(KEYS.c.key).where(KEYS.c.expires_at <= now).limit(_SWEPT)
    # SQLite has one writer at a time, and leaves the lock out
    over = over.with_for_update(skip_locked=True)
    await connection.execute(delete(KEYS).where(KEYS.c.key.in_(over)))
    mine = (KEYS.c.key == once.key) & (KEYS.c.expires_at <= now)
    await connection.execute(delete(KEYS).where(mine))
    row = {
        "key": once.key,
        "fingerprint": once.fingerprint,
        "answer": as_json(contact),
        "expires_at": now + int(once.ttl * 1e6),
    }
    return await insert(connection, KEYS, row)


async def replayed(
    connection: AsyncConnection, once: OnceKey, contact: Contact
) -> Added:
    """
    Return what the request with this key has added.

    Raises:
        OtherRequest: It was another request.
        StoreUnavailable: The key is no longer kept: try again.
    """
    statement = select(KEYS.c.fingerprint, KEYS.c.answer).where(KEYS.c.key == once.key)
    row = (await connection.execute(statement)).one_or_none()
    if row is None:  # it ran out this very moment
        raise StoreUnavailable("an idempotency key ran out")
    if row.fingerprint != once.fingerprint:
        raise OtherRequest
    kept = from_json(row.answer)
    return Added(kept, replayed=kept.id != contact.id)


async def write(connection: AsyncConnection, contact: Contact) -> None:
    """Put *contact* in the place of what has its id."""
    there = CONTACTS.c.id == contact.id
    statement = CONTACTS.update().where(there).values(contact_row(contact))
    try:
        await connection.execute(statement)
    except IntegrityError:  # the number is all that must be unique here
        raise Duplicate from None
    await connection.execute(delete(WORDS).where(WORDS.c.contact_id == contact.id))
    await insert_words(connection, [contact])


async def insert_words(connection: AsyncConnection, made: Sequence[Contact]) -> None:
    """Insert the words that find contacts."""
    rows = [row for contact in made for row in word_rows(contact)]
    if rows:
        await connection.execute(WORDS.insert(), rows)
