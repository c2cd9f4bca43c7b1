"""
The two databases: how to connect to each, and what their failures mean.

SQLite keeps a write-ahead log and waits for the disk at each commit
(`synchronous=FULL`), so a contact that was acknowledged survives a power cut. One
connection writes, others read at the same time. PostgreSQL gets a pool whose
connections give up on statements and locks that take too long. What asks whether the
database answers has a connection of its own: one that is merely busy is not away.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import ProgrammingError
from sqlalchemy import Engine, QueuePool, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, DisconnectionError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from service.phonebook.asking import Asker, InLoop, InThreads
from service.phonebook.store import StoreUnavailable
from service.settings import PhonebookSettings, PostgresqlSettings

__all__ = ["Database", "database", "postgresql", "sqlite", "translated"]

_MOST_TOLD = 300
"""Characters of a driver's words that are told."""

_READERS = 4
_BUSY_SECONDS = 4.0
_PAUSE_SECONDS = 0.02

_AGAIN = ("08", "40", "57P", "25006", "53300")
"""
Beginnings of PostgreSQL's states that pass: connections, rolled back transactions
(serialization, deadlock), a server that stops or starts, one that became a standby, and
too many connections.

Source: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

_TOO_LONG = ("57014", "55P03", "53")
"""Statement time-out, lock time-out, out of room: passes, but not at once."""

_REFUSED = ("28", "3D", "42501", "42P01", "3F")
"""
Who we are, which database, what we may do, tables that are not there: passes when
somebody mends it.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """
    The connections to a database.

    Attributes:
        writers: For what changes contacts.
        readers: For reading more than a question's answer; the same as *writers*
            where that makes no difference.
        asker: For single questions.
        checker: For asking whether the database answers, and for nothing else.
    """

    writers: AsyncEngine
    readers: AsyncEngine
    asker: Asker
    checker: AsyncEngine

    async def close(self) -> None:
        """Close every connection."""
        await self.asker.close()
        for engine in (self.checker, self.readers, self.writers):
            await engine.dispose()

    def in_use(self) -> int:
        """Return the connections that are at work."""
        pools: list[Any] = [self.writers.pool]
        if self.readers is not self.writers:
            pools.append(self.readers.pool)
        at_work: int = sum(pool.checkedout() for pool in pools)
        return at_work + self.asker.in_use()


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
    checker = create_async_engine(url, pool_size=1, max_overflow=0, **wait)
    _prepare(writers.sync_engine, begin="BEGIN IMMEDIATE", prepare=_write_ahead)
    for engine in (readers, checker):
        _prepare(engine.sync_engine, begin="BEGIN")
    return Database(
        writers=writers,
        readers=readers,
        asker=InThreads(_sqlite_asker(path), number=_READERS),
        checker=checker,
    )


def _sqlite_asker(path: str) -> Engine:
    """Return connections for single questions, which need no transaction."""
    engine = create_engine(
        URL.create("sqlite", database=path),
        poolclass=QueuePool,
        pool_size=_READERS,
        max_overflow=0,
        connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False},
    )
    _prepare(engine, begin=None)
    return engine


def postgresql(settings: Callable[[], PostgresqlSettings]) -> Database:
    """
    Return the database on a server.

    The password is read for each new connection; once a URL leads elsewhere, each
    connection is made anew before it is used again.
    """
    pooled = _engine(settings, size=settings().pool_size)
    return Database(
        writers=pooled,
        readers=pooled,
        asker=InLoop(pooled),
        checker=_engine(settings, size=1),
    )


def _engine(settings: Callable[[], PostgresqlSettings], *, size: int) -> AsyncEngine:
    engine = create_async_engine(
        URL.create("postgresql+psycopg"),
        pool_size=size,
        max_overflow=0,
        pool_timeout=settings().pool_timeout,
        pool_use_lifo=True,  # idle connections age, and are made anew
        pool_recycle=1800,
    )

    @event.listens_for(engine.sync_engine, "do_connect")
    def read_settings(_dialect: Any, _record: Any, _args: Any, how: Any) -> None:
        how.update(_arguments(settings()))

    @event.listens_for(engine.sync_engine, "connect")
    def connected(_connection: Any, record: Any) -> None:
        record.info["place"] = _place(settings())

    @event.listens_for(engine.sync_engine, "checkout")
    def taken(_connection: Any, record: Any, _proxy: Any) -> None:
        if record.info["place"] != _place(settings()):
            raise DisconnectionError  # a new one takes its place

    return engine


def _place(settings: PostgresqlSettings) -> dict[str, Any]:
    """Return what a URL, the only part that changes, says of where to go."""
    if settings.url is None:
        return {}
    return {**_parsed(settings.url.get_secret_value()), "password": ""}


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
    if isinstance(error.orig, sqlite3.DatabaseError):
        return _meaning_of_sqlite(error)
    if state.startswith(_REFUSED) or (
        state.startswith(_TOO_LONG) and not state.startswith(_AGAIN)
    ):
        return StoreUnavailable(_told(error, state), again=False)
    lost = error.connection_invalidated or state.startswith(_AGAIN)
    if lost or (not state and type(error).__name__ == "OperationalError"):
        return StoreUnavailable(_told(error, state))
    return error


def _meaning_of_sqlite(error: DBAPIError) -> Exception:
    """Return what passes: a full disk, a file that may not be written, or is none."""
    name = str(getattr(error.orig, "sqlite_errorname", ""))
    if isinstance(error.orig, sqlite3.ProgrammingError) or not name:
        return error
    return StoreUnavailable(_told(error, name), again=name.startswith("SQLITE_BUSY"))


def _told(error: DBAPIError, state: str) -> str:
    """Return the state, and the first words of the driver: no password is in them."""
    words = " ".join(str(error.orig).split())[:_MOST_TOLD]
    return ": ".join(filter(None, (state, words))) or "no connection"


def _arguments(settings: PostgresqlSettings) -> dict[str, Any]:
    """Return libpq's parameters; those of a URL win."""
    milliseconds = int(settings.statement_timeout * 1000)
    limits = {
        "statement_timeout": milliseconds,
        "lock_timeout": milliseconds,
        "idle_in_transaction_session_timeout": 2 * milliseconds,
    }
    found: dict[str, Any] = {
        "host": settings.host,
        "port": settings.port,
        "dbname": settings.database,
        "user": settings.user,
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
    if settings.password is not None:
        found["password"] = settings.password.get_secret_value()
    if settings.url is not None:
        found |= _parsed(settings.url.get_secret_value())
    return found


def _parsed(url: str) -> dict[str, Any]:
    try:
        return conninfo_to_dict(url)
    except ProgrammingError:  # its text may hold what was wrong, with the password
        reason = "phonebook.postgresql.url can't be read"
        raise StoreUnavailable(reason, again=False) from None


def _prepare(
    engine: Engine,
    *,
    begin: str | None,
    prepare: Callable[[Any], None] = lambda _connection: None,
) -> None:
    """Make SQLite's transactions ours: the driver would begin them late, and some."""

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        try:
            # another process may just change the journal, or migrate
            connection.execute(f"PRAGMA busy_timeout={int(_BUSY_SECONDS * 1000)}")
            prepare(connection)
            for each in ("synchronous=FULL", "foreign_keys=ON"):
                connection.execute(f"PRAGMA {each}")
        except Exception:  # the pool forgets it, and its thread would stay for ever
            connection.close()
            raise

    if begin is None:
        return

    @event.listens_for(engine, "begin")
    def began(connection: Any) -> None:
        connection.exec_driver_sql(begin)


def _write_ahead(connection: Any) -> None:
    """Switch to a write-ahead log; when two do so at once, SQLite waits for neither."""
    last = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorname.startswith("SQLITE_BUSY")
            if not busy or time.monotonic() > last:
                raise
            connection.run_async(lambda _driver: asyncio.sleep(_PAUSE_SECONDS))
        else:
            return
