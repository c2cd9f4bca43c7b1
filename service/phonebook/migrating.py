"""
Brings the schema up to date, once, however many replicas start at the same time.

The changes run in one transaction under one lock: PostgreSQL's advisory lock, which
ends with the transaction, or SQLite's own lock on the file. Who comes second finds
nothing left to do. A schema that is newer than this version is left as it is: changes
only add, so an older replica works on with it.
"""

import logging

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["migrate"]

_LOCK = 0x70686F6E6562
"""Number of the advisory lock: `phoneb`."""

_log = logging.getLogger(__name__)


async def migrate(engine: AsyncEngine) -> None:
    """
    Bring the schema of *engine*'s database up to date.

    Concurrency:
        Any number of processes at once.
    """
    async with engine.begin() as connection:
        await connection.run_sync(_upgrade)


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        # changes of big tables may take longer than any request may
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        lock = text("SELECT pg_advisory_xact_lock(:lock)")
        connection.execute(lock, {"lock": _LOCK})
    config = Config()
    config.set_main_option("script_location", "service.phonebook:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    script = ScriptDirectory.from_config(config)
    options = {"version_table": "phonebook_version"}
    current = MigrationContext.configure(connection, opts=options).get_current_heads()
    known = {each.revision for each in script.walk_revisions()}
    if not set(current) <= known:
        _log.warning("phonebook_schema_is_newer", extra={"revisions": list(current)})
    elif set(current) != set(script.get_heads()):
        command.upgrade(config, "head")
        _log.info("phonebook_schema_changed", extra={"revisions": script.get_heads()})
