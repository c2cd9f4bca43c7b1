"""
The two databases: how to connect to each, and what their failures mean.

SQLite keeps a write-ahead log and waits for the disk at each commit
(`synchronous=FULL`), so a contact that was acknowledged survives a power cut. One
connection writes, others read at the same time. PostgreSQL gets a pool whose
connections give up on statements and locks that take too long.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from service.phonebook.store import StoreUnavailable
from service.settings import PhonebookSettings, PostgresqlSettings

__all__ = ["Database", "database", "postgresql", "sqlite", "translated"]

_READERS = 4
_BUSY_SECONDS = 4.0

_AGAIN = ("08", "40", "57P", "25006", "53300")
"""
Beginnings of PostgreSQL's states that pass: connections, rolled back transactions
(serialization, deadlock), a server that stops or starts, one that became a standby, and
too many connections.

Source: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

_TOO_LONG = ("57014", "55P03", "53")
"""Statement time-out, lock time-out, out of room: passes, but not at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """
    The connections to a database.

    Attributes:
        writers: For what changes contacts.
        readers: For the rest; the same as *writers* where that makes no difference.
        is_single_writer: Whether writers wait for each other, one transaction at a
            time.
    """

    writers: AsyncEngine
    readers: AsyncEngine
    is_single_writer: bool

    async def close(self) -> None:
        """Close every connection."""
        await self.readers.dispose()
        await self.writers.dispose()

    def in_use(self) -> int:
        """Return the connections that are at work."""
        pools: list[Any] = [self.writers.pool]
        if self.readers is not self.writers:
            pools.append(self.readers.pool)
        return sum(pool.checkedout() for pool in pools)


def database(settings: Callable[[], PhonebookSettings]) -> Database:
    """Return the database that the settings name; connections come when needed."""
    current = settings()
    if current.store == "sqlite":
        return sqlite(current.sqlite_path)
    return postgresql(lambda: settings().postgresql)


def sqlite(path: str) -> Database:
    """Return the database in the file *path*, which is made when it is not there."""
    url = URL.create("sqlite+aiosqlite", database=path)
    wait = {"connect_args": {"timeout": _BUSY_SECONDS}, "pool_timeout": _BUSY_SECONDS}
    writers = create_async_engine(url, pool_size=1, max_overflow=0, **wait)
    readers = create_async_engine(url, pool_size=_READERS, max_overflow=0, **wait)
    _prepare(writers, begin="BEGIN IMMEDIATE", pragmas=("journal_mode=WAL",))
    _prepare(readers, begin="BEGIN", pragmas=())
    return Database(writers=writers, readers=readers, is_single_writer=True)


def postgresql(settings: Callable[[], PostgresqlSettings]) -> Database:
    """Return the database on a server; its password is read for each connection."""
    current = settings()
    url = URL.create(
        "postgresql+psycopg",
        username=current.user,
        host=current.host,
        port=current.port,
        database=current.database,
    )
    engine = create_async_engine(
        url,
        pool_size=current.pool_size,
        max_overflow=0,
        pool_timeout=current.pool_timeout,
        pool_use_lifo=True,  # idle connections age, and are made anew
        pool_recycle=1800,
        connect_args=_arguments(current),
    )

    @event.listens_for(engine.sync_engine, "do_connect")
    def show_password(_dialect: Any, _record: Any, _args: Any, how: Any) -> None:
        secret = settings().password
        if secret is not None:
            how["password"] = secret.get_secret_value()

    return Database(writers=engine, readers=engine, is_single_writer=False)


@contextmanager
def translated() -> Iterator[None]:
    """Raise `StoreUnavailable` for what a database's driver says of failures."""
    try:
        yield
    except PoolTimeout:
        raise StoreUnavailable("all connections are busy", again=False) from None
    except IntegrityError:
        raise
    except DBAPIError as error:
        raise _meaning(error) from error
    except OSError as error:
        raise StoreUnavailable(type(error).__name__) from error


def _meaning(error: DBAPIError) -> Exception:
    state = getattr(error.orig, "sqlstate", None) or ""
    if isinstance(error.orig, sqlite3.OperationalError):
        name = str(getattr(error.orig, "sqlite_errorname", ""))
        return StoreUnavailable(name, again=name.startswith("SQLITE_BUSY"))
    if state.startswith(_TOO_LONG) and not state.startswith(_AGAIN):
        return StoreUnavailable(state, again=False)
    lost = error.connection_invalidated or state.startswith(_AGAIN)
    if lost or (not state and type(error).__name__ == "OperationalError"):
        return StoreUnavailable(state or "no connection")
    return error


def _arguments(settings: PostgresqlSettings) -> dict[str, Any]:
    """Return libpq's parameters."""
    milliseconds = int(settings.statement_timeout * 1000)
    limits = {
        "statement_timeout": milliseconds,
        "lock_timeout": milliseconds,
        "idle_in_transaction_session_timeout": 2 * milliseconds,
    }
    found: dict[str, Any] = {
        "connect_timeout": settings.connect_timeout,
        "application_name": "httpserver",
        "sslmode": settings.tls,
        "target_session_attrs": "read-write",
        "options": " ".join(f"-c {name}={value}" for name, value in limits.items()),
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 10_000,
    }
    if settings.tls.startswith("verify"):
        found["sslrootcert"] = settings.ca_file or "system"
    if settings.cert_file:
        found |= {"sslcert": settings.cert_file, "sslkey": settings.key_file}
    return found


def _prepare(engine: AsyncEngine, *, begin: str, pragmas: tuple[str, ...]) -> None:
    """Make SQLite's transactions ours: the driver would begin them late, and some."""

    @event.listens_for(engine.sync_engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        # another process may just change the journal, or migrate
        for each in (f"busy_timeout={int(_BUSY_SECONDS * 1000)}", *pragmas,
                     "synchronous=FULL", "foreign_keys=ON"):  # fmt: skip
            cursor.execute(f"PRAGMA {each}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def began(connection: Any) -> None:
        connection.exec_driver_sql(begin)
