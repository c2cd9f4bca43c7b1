"""How the databases are opened."""

import asyncio

from sqlalchemy import text

from service.phonebook.databases import sqlite

MANY, ROUNDS = 5, 40


async def opened(path) -> str:
    """Return the journal that a process has which opens the file."""
    database = sqlite(str(path))
    try:
        async with database.writers.begin() as connection:
            return (await connection.execute(text("PRAGMA journal_mode"))).scalar_one()
    finally:
        await database.close()


async def test_new_file_is_opened_by_many_at_once(tmp_path):
    """SQLite refuses one of two that switch to a write-ahead log in the same moment."""
    for each in range(ROUNDS):
        path = tmp_path / f"{each}.sqlite3"
        journals = await asyncio.gather(*(opened(path) for _ in range(MANY)))
        assert journals == ["wal"] * MANY
