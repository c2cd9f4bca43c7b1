"""The phone book's stores for tests, each in a database of its own."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from service.phonebook.databases import Database, postgresql, sqlite
from service.phonebook.migrating import migrate
from service.phonebook.model import ContactFields, contact_fields
from service.phonebook.sql_store import SqlStore
from service.settings import PostgresqlSettings
from tests.support.postgresql import PostgresqlServer

__all__ = ["number", "opened", "person", "reached", "server_settings"]

_NAMES = itertools.count(1)


def server_settings(
    server: PostgresqlServer, database: str, **others: object
) -> PostgresqlSettings:
    """Return the settings that lead to *database*."""
    where = {"host": "127.0.0.1", "port": server.port, "tls": "disable"}
    return PostgresqlSettings(**{**where, "database": database, **others})


def reached(place: PostgresqlServer | Path, **others: object) -> Database:
    """Return a new empty database: on a server, or a file in a folder."""
    name = f"phonebook_{next(_NAMES)}"
    if isinstance(place, Path):
        return sqlite(str(place / f"{name}.sqlite3"))
    place.create(name)
    settings = server_settings(place, name, **others)
    return postgresql(lambda: settings)


@asynccontextmanager
async def opened(
    place: PostgresqlServer | Path, *, timeout: float = 20.0, **others: object
) -> AsyncIterator[SqlStore]:
    """Open a store in a new database."""
    database = reached(place, **others)
    try:
        await migrate(database.writers)
        yield SqlStore(database, timeout=lambda: timeout)
    finally:
        await database.close()


def number(place: int) -> str:
    """Return the number of one of many people."""
    return f"+1555{place:07}"


def person(place: int, first: str = "Ann", last: str = "Lee") -> ContactFields:
    """Return one of many people."""
    return contact_fields(first_name=first, last_name=last, number=number(place))
