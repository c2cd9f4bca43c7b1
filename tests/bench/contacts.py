"""
Contacts by the million, for the phone book's measurement.

Numbers go in equal steps over eight digits behind +4930, last names have three of forty
syllables and first names two: what a search finds grows with the size, and a page of it
is always full. SQLite's files are made once and kept in `.cache/bench/contacts`.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import product
from pathlib import Path
from uuid import UUID

import psycopg
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from service.phonebook.migrating import migrate

__all__ = ["Row", "fill_postgresql", "ours", "plain"]

FOLDER = Path(".cache/bench/contacts")

Row = tuple[str, str, str, str, int]
"""Id, first name, last name, number, time of creation in microseconds."""

_SPAN = 100_000_000
_BEGAN = 1_700_000_000_000
_SYLLABLES = [*map("".join, product("bdgklmnrst", "aeiu"))]
_FIRST = [*map("".join, product(_SYLLABLES, repeat=2))]
_LAST = [*map("".join, product(_SYLLABLES, repeat=3))]

_FAST = "PRAGMA synchronous=OFF; PRAGMA cache_size=-400000; PRAGMA journal_mode=OFF;"
_PLAIN = """
CREATE TABLE contacts (
    id TEXT NOT NULL PRIMARY KEY, first_name TEXT NOT NULL, last_name TEXT NOT NULL,
    number TEXT NOT NULL, email TEXT, note TEXT,
    created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL);
CREATE UNIQUE INDEX contacts_number ON contacts (number);
CREATE INDEX contacts_last_name ON contacts (last_name);
"""
"""Tables of the peers: they search names by the last name alone."""

_COLUMNS = (
    "id, first_name, last_name, number, version, created_at, updated_at, sort_key"
)
_WORDS = (
    "INSERT INTO contact_words (word, sort_key, contact_id) SELECT * FROM"
    " (SELECT last_name, sort_key, id FROM contacts"
    " UNION SELECT first_name, sort_key, id FROM contacts) AS found ORDER BY 1, 2, 3"
)


def rows(size: int) -> Iterator[Row]:
    """Yield the contacts."""
    for place in range(size):
        mixed, moment = place * 7919, _BEGAN + place
        number = f"+4930{place * (_SPAN // size):08d}"
        identity = str(UUID(int=moment << 80 | 0x7 << 76 | 0b10 << 62 | place))
        first = _FIRST[mixed // 64_000 * 31 % len(_FIRST)]
        yield identity, first, _LAST[mixed % len(_LAST)], number, moment * 1000


def plain(size: int) -> Path:
    """Return the file of the peers."""

    def make(file: Path) -> None:
        with closing(sqlite3.connect(file)) as base:
            base.executescript(_FAST + _PLAIN)
            values = ((*row, row[-1]) for row in rows(size))
            statement = "INSERT INTO contacts VALUES (?, ?, ?, ?, NULL, NULL, ?, ?)"
            base.executemany(statement, values)
            base.commit()
            base.execute("PRAGMA journal_mode=WAL")

    return _kept(f"plain-{size}.sqlite3", make)


def ours(size: int) -> Path:
    """Return the file of our service, as its own migrations make it."""

    def make(file: Path) -> None:
        asyncio.run(_migrate(create_async_engine(f"sqlite+aiosqlite:///{file}")))
        with closing(sqlite3.connect(file)) as base:
            base.executescript(_FAST)
            statement = f"INSERT INTO contacts ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?)"
            base.executemany(statement, map(_full, rows(size)))
            base.execute(_WORDS)
            base.commit()
            base.execute("PRAGMA journal_mode=WAL")

    return _kept(f"ours-{size}.sqlite3", make)


def fill_postgresql(port: int, name: str, size: int) -> None:
    """
    Fill an empty database of PostgreSQL, as our service's migrations make it.

    Args:
        port: Where the server is, on 127.0.0.1.
        name: The database.
        size: How many contacts.
    """
    where = f"phonebook@127.0.0.1:{port}/{name}"
    asyncio.run(_migrate(create_async_engine(f"postgresql+psycopg://{where}")))
    with psycopg.connect(f"postgresql://{where}") as base, base.cursor() as cursor:
        # every word has its contact: to ask for each would take most of the time
        cursor.execute("SET session_replication_role = replica")
        with cursor.copy(f"COPY contacts ({_COLUMNS}) FROM STDIN") as copy:
            for row in rows(size):
                copy.write_row(_full(row))
        cursor.execute(_WORDS)
        base.commit()
        base.autocommit = True
        cursor.execute("VACUUM ANALYZE")


def _full(row: Row) -> tuple[object, ...]:
    _, first, last, _, moment = row
    return *row[:4], 1, moment, moment, f"{last}\x1f{first}"


def _kept(name: str, make: Callable[[Path], None]) -> Path:
    """Return a file that is made when it is not there whole."""
    file = FOLDER / name
    if not file.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        half = file.with_suffix(".new")
        half.unlink(missing_ok=True)
        make(half)
        half.rename(file)
    return file


async def _migrate(engine: AsyncEngine) -> None:
    await migrate(engine)
    await engine.dispose()
