"""
A backup into a database, in one transaction: all of it, or nothing at all.

Others read the old contacts until it is committed, and can't write meanwhile. What a
backup holds is good only when its end was reached, and the commit comes after that.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from itertools import islice
from typing import Any

from sqlalchemy import delete, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from service.phonebook.backup import Damaged, Head, Key
from service.phonebook.databases import Database, translated
from service.phonebook.migrating import check_schema, migrate
from service.phonebook.model import Contact
from service.phonebook.rows import contact_row, word_rows
from service.phonebook.tables import CONTACTS, KEYS, WORDS

__all__ = ["NotEmpty", "restore"]

_AT_ONCE = 500


class NotEmpty(Exception):
    """The database has contacts, and nobody said that they may go."""


async def restore(
    database: Database,
    found: Iterator[Head | Contact | Key],
    *,
    replace: bool,
    advance: Callable[[int, int], None] = lambda _done, _all: None,
) -> Head:
    """
    Put what a backup holds into a database, whose schema is brought up to date first.

    Args:
        database: Where.
        found: What `records` gives; its end is reached before anything is committed.
        replace: Whether contacts that are there may go.
        advance: Is told how many contacts are there, and how many will be.

    Raises:
        NotEmpty: It has contacts.
        Damaged: The backup is none.
        StoreUnavailable: The database is away, or somebody else writes all the time.
    """
    head = next(found)
    if not isinstance(head, Head):
        raise Damaged("it has no head")
    with translated():
        await migrate(database.writers)
        await check_schema(database.writers)
        async with database.writers.begin() as connection:
            await _clear(connection, replace=replace)
            try:
                await _fill(
                    connection, found, lambda done: advance(done, head.contacts)
                )
            except IntegrityError:
                raise Damaged(
                    "two of its records are of the same number or key"
                ) from None
    return head


async def _clear(connection: AsyncConnection, *, replace: bool) -> None:
    if connection.dialect.name == "postgresql":
        for limit in ("statement_timeout", "idle_in_transaction_session_timeout"):
            await connection.execute(text(f"SET LOCAL {limit} = 0"))
        # readers go on; SQLite has locked out writers with the transaction's begin
        names = ", ".join(each.name for each in (CONTACTS, WORDS, KEYS))
        await connection.execute(text(f"LOCK TABLE {names} IN EXCLUSIVE MODE"))
    if not replace and await connection.scalar(select(CONTACTS.c.id).limit(1)):
        raise NotEmpty
    for each in (WORDS, CONTACTS, KEYS):
        await connection.execute(delete(each))


async def _fill(
    connection: AsyncConnection,
    found: Iterator[Head | Contact | Key],
    advance: Callable[[int], None],
) -> None:
    done = 0
    while batch := list(islice(found, _AT_ONCE)):
        contacts = [each for each in batch if isinstance(each, Contact)]
        keys = [asdict(each) for each in batch if isinstance(each, Key)]
        await _insert(connection, CONTACTS, map(contact_row, contacts))
        await _insert(connection, WORDS, (r for c in contacts for r in word_rows(c)))
        await _insert(connection, KEYS, keys)
        done += len(contacts)
        advance(done)


async def _insert(
    connection: AsyncConnection, table: Any, rows: Iterable[dict[str, Any]]
) -> None:
    if found := list(rows):
        await connection.execute(table.insert(), found)
