"""
One question to a database and its whole answer, in the fewest steps.

The asynchronous driver of SQLite hands every step of a statement to a thread and waits
for it, nine times for one answer: that took two thirds of the time of a search. Here
one thread takes them all. PostgreSQL is asked without a transaction around the
question, which would be two more ways to the server and back.
"""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from sqlalchemy import Engine, Executable, Row
from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["Asker", "InLoop", "InThreads"]

_NOTHING: dict[str, Any] = {}


class Asker(Protocol):
    """
    Asks a database; errors are those of SQLAlchemy.

    Concurrency: tasks of one event loop.
    """

    async def rows(
        self, statement: Executable, values: Mapping[str, Any] = _NOTHING
    ) -> Sequence[Row[Any]]:
        """Return the rows that *statement* finds, as it is alone."""

    async def close(self) -> None:
        """Let go of the connections."""

    def in_use(self) -> int:
        """Return the connections that are at work."""


class InThreads:
    """
    Asks by a driver that waits.

    Args:
        engine: How to connect.
        number: Connections, and threads.
    """

    def __init__(self, engine: Engine, *, number: int) -> None:
        self._engine = engine
        self._threads = ThreadPoolExecutor(number, thread_name_prefix="phonebook")

    async def rows(
        self, statement: Executable, values: Mapping[str, Any] = _NOTHING
    ) -> Sequence[Row[Any]]:
        """Return the rows that *statement* finds."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._ask, statement, values)

    async def close(self) -> None:
        """Let go of the connections; one that is at work goes when it is through."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._engine.dispose()

    def in_use(self) -> int:
        """Return the connections that are at work."""
        pool: Any = self._engine.pool
        return int(pool.checkedout())

    def _ask(
        self, statement: Executable, values: Mapping[str, Any]
    ) -> Sequence[Row[Any]]:
        with self._engine.connect() as connection:
            return connection.execute(statement, values).all()


class InLoop:
    """
    Asks by a driver that the event loop waits for.

    Args:
        engine: How to connect; others may use it too, and close it.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def rows(
        self, statement: Executable, values: Mapping[str, Any] = _NOTHING
    ) -> Sequence[Row[Any]]:
        """Return the rows that *statement* finds."""
        async with self._engine.connect() as connection:
            return (await connection.execute(statement, values)).all()

    async def close(self) -> None:
        """Do nothing: who gave the engine closes it."""

    def in_use(self) -> int:
        """Return none: who gave the engine counts them."""
        return 0
