"""
Brings the schema up to date, once, however many replicas start at the same time.

The changes run in one transaction under one lock: PostgreSQL's advisory lock, which
ends with the transaction, or SQLite's own lock on the file. Who comes second finds
nothing left to do.

Replicas of two releases run at once during a rolling update, so a schema is changed in
two releases. The first one expands: it only adds, and the code before works on. The
code of that release stops to use what is to go, and raises `ERA`. The next one
contracts: its change takes away, and its revision begins with that era (`2.0007`). A
schema that is newer than the code is worked with up to the code's era, and refused
beyond it: such a code would look for what is gone.

Source: https://martinfowler.com/bliki/ParallelChange.html
"""

import logging
from typing import Literal

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from service.phonebook.store import StoreUnavailable

__all__ = ["ERA", "check_schema", "migrate"]

ERA = 1
"""The newest era of schemas that this code works with; revisions without one are 1."""

_LOCK = 0x70686F6E6562
"""Number of the advisory lock: `phoneb`."""

_SCRIPTS = "service.phonebook:migrations"

_log = logging.getLogger(__name__)


async def migrate(engine: AsyncEngine, *, scripts: str = _SCRIPTS) -> None:
    """
    Bring the schema of *engine*'s database up to date.

    Args:
        engine: How to reach it.
        scripts: Folder of the changes, as alembic writes it.

    Raises:
        StoreUnavailable: The schema is too new for this code.

    Concurrency:
        Any number of processes at once. Who waits longer for another's changes than
        the connection's lock time-out gets an error of the database, and comes again.
    """
    async with engine.begin() as connection:
        await connection.run_sync(_upgrade, scripts)


async def check_schema(engine: AsyncEngine) -> None:
    """
    Return when this code can work with the schema as it is.

    Raises:
        StoreUnavailable: It is too old or too new.
    """
    async with engine.begin() as connection:
        state = await connection.run_sync(_state, _script(_config(_SCRIPTS)))
    if state == "old":
        raise StoreUnavailable("its schema is older than this version", again=False)


def _upgrade(connection: Connection, scripts: str) -> None:
    if connection.dialect.name == "postgresql":
        # changes of big tables may take longer than any request may
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        lock = text("SELECT pg_advisory_xact_lock(:lock)")
        connection.execute(lock, {"lock": _LOCK})
    config = _config(scripts)
    script = _script(config)
    if _state(connection, script) == "old":
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        _log.info("phonebook_schema_changed", extra={"revisions": script.get_heads()})


def _state(
    connection: Connection, script: ScriptDirectory
) -> Literal["old", "new", "newer"]:
    options = {"version_table": "phonebook_version"}
    context = MigrationContext.configure(connection, opts=options)
    current = {*context.get_current_heads()}
    if current <= {each.revision for each in script.walk_revisions()}:
        return "new" if current == {*script.get_heads()} else "old"
    if any(_era(revision) > ERA for revision in current):
        raise StoreUnavailable(f"its schema {max(current)} is too new", again=False)
    _log.warning("phonebook_schema_is_newer", extra={"revisions": sorted(current)})
    return "newer"


def _era(revision: str) -> int:
    era, dot, _ = revision.partition(".")
    return int(era) if dot and era.isdecimal() else 1


def _config(scripts: str) -> Config:
    config = Config()
    config.set_main_option("script_location", scripts)
    config.set_main_option("path_separator", "os")
    return config


def _script(config: Config) -> ScriptDirectory:
    return ScriptDirectory.from_config(config)
