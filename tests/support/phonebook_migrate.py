"""
A process that migrates the phone book: `python -m … KIND WHERE SCRIPTS`.

It says `ready`, begins with the next line of its input, tells each time it changed the
schema, and ends when all is done. KIND is `sqlite` with a path, or `postgresql` with
its settings in JSON.
"""

import asyncio
import logging
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from service.phonebook import migrations
from service.phonebook.databases import postgresql, sqlite, translated
from service.phonebook.migrating import migrate
from service.settings import PostgresqlSettings

__all__ = ["Place", "expanded", "migrating"]

Place = tuple[str, str]
"""KIND and WHERE."""

_EXPANDING = """
import time
from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "0001"


def upgrade():
    op.add_column("contacts", sa.Column("nickname", sa.Text))
    op.create_table("contact_photos", sa.Column("id", sa.Text, primary_key=True))
    print("changing", flush=True)
    while Path("{wait}").exists():
        time.sleep(0.01)
    op.create_index("contacts_nickname", "contacts", ["nickname"])
"""


def expanded(folder: Path, *, revision: str = "0002", wait: Path = Path()) -> str:
    """
    Write the changes of a next release, one of which adds to the schema.

    Args:
        folder: Where.
        revision: Name of that change.
        wait: In its middle it waits while this file is there.
    """
    found = folder / "migrations"
    shutil.copytree(Path(migrations.__file__).parent, found)
    text = _EXPANDING.format(revision=revision, wait=wait if wait.name else "/none")
    (found / "versions" / "contacts_next.py").write_text(text)
    return str(found)


def migrating(
    place: Place, scripts: str = "service.phonebook:migrations", *, count: int = 1
) -> Sequence[subprocess.Popen[str]]:
    """Return processes that have begun to migrate, all in the same moment."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", __name__, *place, scripts],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    for each in processes:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    for each in processes:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    return processes


async def _main(kind: str, where: str, scripts: str) -> None:
    if kind == "sqlite":
        database = sqlite(where)
    else:
        settings = PostgresqlSettings.model_validate_json(where)
        database = postgresql(lambda: settings)
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    print("ready", flush=True)  # noqa: T201 - for who has started it
    sys.stdin.readline()
    with translated():
        await migrate(database.writers, scripts=scripts)
    await database.close()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
