"""
The store in SQL: the same statements for SQLite and PostgreSQL.

Each operation is one transaction. One that fails for a reason that passes (a deadlock,
a connection that broke, a server that gives way to another) is tried again within a
deadline. When a connection breaks at the commit nobody knows what became of it, so what
is tried again first looks for its own traces: it never does its work twice, and never
calls its own contact a duplicate.
"""

import asyncio
import time
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from sqlalchemy import Executable, Table, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.phonebook.databases import Database, translated
from service.phonebook.model import Contact, ContactFields, new_id
from service.phonebook.queries import page_of
from service.phonebook.rows import (
    as_json,
    contact_row,
    from_json,
    from_row,
    word_rows,
)
from service.phonebook.store import (
    Added,
    Conflict,
    Duplicate,
    NotFound,
    OnceKey,
    OtherRequest,
    Page,
    Query,
    StoreUnavailable,
)
from service.phonebook.tables import CONTACTS, KEYS, WORDS
from service.resilience.backoff import Backoff
from service.resilience.retry import Retry

__all__ = ["SqlStore"]

T = TypeVar("T")

_SWEPT = 100
"""Outdated keys that are taken away with each new one, at most."""


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
        self._timeout = timeout
        self._clock = clock
        self._retry = Retry(
            "phonebook",
            attempts=20,  # the deadline ends them
            backoff=Backoff(first=0.05, most=0.5),
            retry_on=_passes,
        )
        self._given_up: set[asyncio.Future[Any]] = set()
        # a server that was restarted has cut the connection that was kept for asking
        self._once_more = Retry("phonebook", attempts=2, retry_on=_passes)

    async def find(self, query: Query) -> Page:
        """Return a page of contacts."""
        statement, values, width = page_of(query)

        async def work() -> Page:
            rows = await self._rows(statement, values)
            contacts = tuple(from_row(row) for row in rows[: query.limit])
            more = len(rows) > query.limit
            return Page(contacts, tuple(rows[query.limit - 1][-width:]) if more else ())

        return await self._done(work)

    async def get(self, contact_id: str) -> Contact:
        """Return a contact."""
        statement = select(CONTACTS).where(CONTACTS.c.id == contact_id)

        async def work() -> Contact:
            rows = await self._rows(statement)
            if not rows:
                raise NotFound
            return from_row(rows[0])

        return await self._done(work)

    async def add(self, fields: ContactFields, *, once: OnceKey | None = None) -> Added:
        """Keep a new contact, once for a key."""
        contact = self._new(fields)

        async def work() -> Added:
            async with self._writing() as connection:
                if once is not None and not await self._take(connection, once, contact):
                    return await _replayed(connection, once, contact)
                if not await self._insert(connection, CONTACTS, contact_row(contact)):
                    # an attempt before this one may have got through unheard
                    await _existing(connection, contact.id, Duplicate)
                    return Added(contact)
                await _insert_words(connection, [contact])
            return Added(contact)

        return await self._done(work)

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
                    statement = self._insert_into(CONTACTS).on_conflict_do_nothing()
                    await connection.execute(statement, rows)
                added = {*(await connection.scalars(mine))}
                await _insert_words(connection, [c for c in made if c.id in added])
            return added

        added = await self._done(work)
        # of equal numbers in one batch the sort has kept the first one first
        numbers = {each.fields.number for each in made if each.id in added}
        return [_taken(numbers, each.number) for each in batch]

    async def taken(self, numbers: Collection[str]) -> set[str]:
        """Return those of *numbers* that contacts have."""
        statement = select(CONTACTS.c.number).where(CONTACTS.c.number.in_(numbers))

        async def work() -> set[str]:
            return {row.number for row in await self._rows(statement)}

        return await self._done(work)

    async def replace(
        self, contact_id: str, fields: ContactFields, *, version: int | None = None
    ) -> Contact:
        """Change a contact, if it has *version*."""
        now = self._clock()
        attempted: list[int] = []

        async def work() -> Contact:
            async with self._writing() as connection:
                before = await _existing(connection, contact_id, lock=True)
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
                await _write(connection, contact)
            return contact

        return await self._done(work)

    async def delete(self, contact_id: str, *, version: int | None = None) -> None:
        """Take a contact away, if it has *version*."""
        gone = False

        async def work() -> None:
            nonlocal gone
            async with self._writing() as connection:
                try:
                    before = await _existing(connection, contact_id, lock=True)
                except NotFound:
                    if gone:  # by an attempt before this one
                        return
                    raise
                if version is not None and before.version != version:
                    raise Conflict
                there = CONTACTS.c.id == contact_id
                await connection.execute(delete(CONTACTS).where(there))
                gone = True

        await self._done(work)

    async def count(self) -> int:
        """Return how many contacts there are."""

        async def work() -> int:
            ((count,),) = await self._rows(select(func.count()).select_from(CONTACTS))
            return int(count)

        return await self._done(work)

    async def ping(self) -> None:
        """Return when the store answers."""

        async def work() -> None:
            async with _transaction(self._database.checker) as connection:
                statement = select(CONTACTS.c.id).limit(1)
                await connection.execute(statement)

        await self._done(work, retry=self._once_more)

    def _new(self, fields: ContactFields) -> Contact:
        now = self._clock()
        return Contact(
            id=new_id(), version=1, created_at=now, updated_at=now, fields=fields
        )

    async def _done(
        self, work: Callable[[], Awaitable[T]], *, retry: Retry | None = None
    ) -> T:
        """Return what *work* comes to, within the time of an operation."""
        failed: StoreUnavailable | None = None

        async def attempt() -> T:
            nonlocal failed
            try:
                return await work()
            except StoreUnavailable as error:
                failed = error
                raise

        task = asyncio.ensure_future((retry or self._retry).call(attempt))
        try:
            await asyncio.wait({task}, timeout=self._timeout())
        finally:
            # a server that hangs does not even hear that it is given up: the driver
            # waits for it, and nobody for the driver
            if not task.done():
                task.cancel()
                self._given_up.add(task)
                task.add_done_callback(self._forget)
        if task.done():
            return task.result()
        raise failed or StoreUnavailable("it takes too long")

    def _forget(self, task: asyncio.Future[Any]) -> None:
        self._given_up.discard(task)
        if not task.cancelled():
            task.exception()  # heard, so that nobody is told that it was not

    async def _rows(
        self, statement: Executable, values: Mapping[str, Any] | None = None
    ) -> Sequence[Any]:
        with translated():
            return await self._database.asker.rows(statement, values or {})

    def _writing(self) -> Any:
        return _transaction(self._database.writers)

    def _insert_into(self, table: Table) -> Any:
        name = self._database.writers.dialect.name
        return (sqlite if name == "sqlite" else postgresql).insert(table)

    async def _insert(
        self, connection: AsyncConnection, table: Table, row: dict[str, Any]
    ) -> bool:
        """Insert *row* and tell whether there was no such row."""
        statement = self._insert_into(table).values(row).on_conflict_do_nothing()
        key = next(iter(table.primary_key))
        return await connection.scalar(statement.returning(key)) is not None

    async def _take(
        self, connection: AsyncConnection, once: OnceKey, contact: Contact
    ) -> bool:
        """Take the key for *contact*; tell whether it was free."""
        now = self._clock()
        over = select(KEYS.c.key).where(KEYS.c.expires_at <= now).limit(_SWEPT)
        if not self._database.is_single_writer:
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
        return await self._insert(connection, KEYS, row)


def _passes(error: Exception) -> bool:
    return isinstance(error, StoreUnavailable) and error.again


@asynccontextmanager
async def _transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Commit what the block does, or nothing of it; tell failures in our words."""
    with translated():
        async with engine.begin() as connection:
            yield connection


async def _existing(
    connection: AsyncConnection,
    contact_id: str,
    absent: type[Exception] = NotFound,
    *,
    lock: bool = False,
) -> Contact:
    statement = select(CONTACTS).where(CONTACTS.c.id == contact_id)
    if lock:  # SQLite has locked the whole file, and leaves this out
        statement = statement.with_for_update()
    row = (await connection.execute(statement)).one_or_none()
    if row is None:
        raise absent
    return from_row(row)


async def _replayed(
    connection: AsyncConnection, once: OnceKey, contact: Contact
) -> Added:
    statement = select(KEYS.c.fingerprint, KEYS.c.answer).where(KEYS.c.key == once.key)
    row = (await connection.execute(statement)).one_or_none()
    if row is None:  # it ran out this very moment
        raise StoreUnavailable("an idempotency key ran out")
    if row.fingerprint != once.fingerprint:
        raise OtherRequest
    kept = from_json(row.answer)
    return Added(kept, replayed=kept.id != contact.id)


async def _write(connection: AsyncConnection, contact: Contact) -> None:
    """Put *contact* in the place of what has its id."""
    there = CONTACTS.c.id == contact.id
    statement = CONTACTS.update().where(there).values(contact_row(contact))
    try:
        await connection.execute(statement)
    except IntegrityError:  # the number is all that must be unique here
        raise Duplicate from None
    await connection.execute(delete(WORDS).where(WORDS.c.contact_id == contact.id))
    await _insert_words(connection, [contact])


async def _insert_words(connection: AsyncConnection, made: Sequence[Contact]) -> None:
    rows = [row for contact in made for row in word_rows(contact)]
    if rows:
        await connection.execute(WORDS.insert(), rows)


def _taken(numbers: set[str], number: str) -> bool:
    """Take *number* out of *numbers*; tell whether it was there."""
    found = number in numbers
    numbers.discard(number)
    return found
