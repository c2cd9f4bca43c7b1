"""
The store in SQL: the same statements for SQLite and PostgreSQL.

Each operation is one transaction. One that fails for a reason that passes (a deadlock,
a connection that broke, a server that gives way to another) is tried again within a
deadline. When a connection breaks at the commit nobody knows what became of it, so what
is tried again first looks for its own traces: it never does its work twice, and never
calls its own contact a duplicate.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Executable, delete, func, select

from service.phonebook.attempts import Attempts
from service.phonebook.databases import Database, translated
from service.phonebook.model import Contact, ContactFields, new_id
from service.phonebook.queries import page_of
from service.phonebook.rows import contact_row, from_row
from service.phonebook.statements import (
    adding,
    existing,
    insert,
    insert_words,
    replayed,
    take,
    transaction,
    write,
)
from service.phonebook.store import (
    Added,
    Conflict,
    Duplicate,
    NotFound,
    OnceKey,
    Page,
    Query,
)
from service.phonebook.tables import CONTACTS
from service.resilience.backoff import Backoff

__all__ = ["SqlStore"]


class SqlStore:
    """
    Contacts in a database.

    Args:
        database: Where.
        timeout: Gives the seconds that one operation may take, with its retries.
        clock: Gives the time in microseconds since 1970.
    """

    def __init__(
        self,
        database: Database,
        *,
        timeout: Callable[[], float],
        clock: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._database = database
        self._clock = clock
        # so many that the deadline ends them
        self._attempts = Attempts(20, timeout, Backoff(first=0.05, most=0.5))
        # a server that was restarted has cut the connection that was kept for asking
        self._once_more = Attempts(2, timeout)

    async def find(self, query: Query) -> Page:
        """Return a page of contacts."""
        statement, values, width = page_of(query)

        async def work() -> Page:
            rows = await self._rows(statement, values)
            contacts = tuple(from_row(row) for row in rows[: query.limit])
            more = len(rows) > query.limit
            return Page(contacts, tuple(rows[query.limit - 1][-width:]) if more else ())

        return await self._attempts.done(work)

    async def get(self, contact_id: str) -> Contact:
        """Return a contact."""
        statement = select(CONTACTS).where(CONTACTS.c.id == contact_id)

        async def work() -> Contact:
            rows = await self._rows(statement)
            if not rows:
                raise NotFound
            return from_row(rows[0])

        return await self._attempts.done(work)

    async def add(self, fields: ContactFields, *, once: OnceKey | None = None) -> Added:
        """Keep a new contact, once for a key."""
        contact = self._new(fields)

        async def work() -> Added:
            async with self._writing() as connection:
                if once is not None:
                    now = self._clock()
                    if not await take(connection, once, contact, now=now):
                        return await replayed(connection, once, contact)
                if not await insert(connection, CONTACTS, contact_row(contact)):
                    # an attempt before this one may have got through unheard
                    await existing(connection, contact.id, Duplicate)
                    return Added(contact)
                await insert_words(connection, [contact])
            return Added(contact)

        return await self._attempts.done(work)

    async def add_all(self, batch: Sequence[ContactFields]) -> list[bool]:
        """Keep many new contacts, in one step."""
        # in the order of numbers, so that two imports never wait for each other
        made = sorted(map(self._new, batch), key=lambda each: each.fields.number)
        rows = [contact_row(each) for each in made]
        ids = [row["id"] for row in rows]

        async def work() -> set[str]:
            async with self._writing() as connection:
                mine = select(CONTACTS.c.id).where(CONTACTS.c.id.in_(ids))
                before = {*(await connection.scalars(mine))}
                if before:
                    return before
                if rows:
                    await connection.execute(adding(connection, CONTACTS), rows)
                added = {*(await connection.scalars(mine))}
                await insert_words(connection, [c for c in made if c.id in added])
            return added

        added = await self._attempts.done(work)
        # of equal numbers in one batch the sort has kept the first one first
        numbers = {each.fields.number for each in made if each.id in added}
        return [_taken(numbers, each.number) for each in batch]

    async def taken(self, numbers: Collection[str]) -> set[str]:
        """Return those of *numbers* that contacts have."""
        statement = select(CONTACTS.c.number).where(CONTACTS.c.number.in_(numbers))

        async def work() -> set[str]:
            return {row.number for row in await self._rows(statement)}

        return await self._attempts.done(work)

    async def replace(
        self, contact_id: str, fields: ContactFields, *, version: int | None = None
    ) -> Contact:
        """Change a contact, if it has *version*."""
        now = self._clock()
        attempted: list[int] = []

        async def work() -> Contact:
            async with self._writing() as connection:
                before = await existing(connection, contact_id, lock=True)
                if attempted and (before.updated_at, before.fields) == (now, fields):
                    return before  # an attempt before this one got through unheard
                attempted.append(before.version)
                if version is not None and before.version != version:
                    raise Conflict
                contact = Contact(
                    id=contact_id,
                    version=before.version + 1,
                    created_at=before.created_at,
                    updated_at=now,
                    fields=fields,
                )
                await write(connection, contact)
            return contact

        return await self._attempts.done(work)

    async def delete(self, contact_id: str, *, version: int | None = None) -> None:
        """Take a contact away, if it has *version*."""
        gone = False

        async def work() -> None:
            nonlocal gone
            async with self._writing() as connection:
                try:
                    before = await existing(connection, contact_id, lock=True)
                except NotFound:
                    if gone:  # by an attempt before this one
                        return
                    raise
                if version is not None and before.version != version:
                    raise Conflict
                there = CONTACTS.c.id == contact_id
                await connection.execute(delete(CONTACTS).where(there))
                gone = True

        await self._attempts.done(work)

    async def count(self) -> int:
        """Return how many contacts there are."""

        async def work() -> int:
            ((count,),) = await self._rows(select(func.count()).select_from(CONTACTS))
            return int(count)

        return await self._attempts.done(work)

    async def ping(self) -> None:
        """Return when the store answers."""

        async def work() -> None:
            async with transaction(self._database.checker) as connection:
                statement = select(CONTACTS.c.id).limit(1)
                await connection.execute(statement)

        await self._once_more.done(work)

    def _new(self, fields: ContactFields) -> Contact:
        now = self._clock()
        return Contact(
            id=new_id(), version=1, created_at=now, updated_at=now, fields=fields
        )

    async def _rows(
        self, statement: Executable, values: Mapping[str, Any] | None = None
    ) -> Sequence[Any]:
        with translated():
            return await self._database.asker.rows(statement, values or {})

    def _writing(self) -> Any:
        return transaction(self._database.writers)


def _taken(numbers: set[str], number: str) -> bool:
    """Take *number* out of *numbers*; tell whether it was there."""
    found = number in numbers
    numbers.discard(number)
    return found
