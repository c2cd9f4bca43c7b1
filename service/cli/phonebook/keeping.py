"""
`httpserver phonebook migrate`, `backup` and `restore`: what operators do to the
database itself, by the settings of the service.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from service.cli.batch import PushgatewayOption, measured
from service.cli.input import standard_input
from service.cli.output import complain, write, write_bytes
from service.cli.settings import ConfigOption, SecretsOption, SetOption, open_store

if TYPE_CHECKING:
    from service.config import SettingsStore
    from service.phonebook.databases import Database

__all__ = ["backup", "migrate", "restore"]

STREAM = Path("-")


def migrate(
    *,
    config: ConfigOption = None,
    secrets_dir: SecretsOption = None,
    settings: SetOption = None,
) -> None:
    """
    Bring the schema of the phone book up to date.

    May run at any time, also beside replicas and other runs of itself.
    """
    store = open_store(config, secrets_dir, settings)
    # the database's library takes its time to import
    from service.phonebook.keeping import migrate_once

    with _failures():
        asyncio.run(migrate_once(lambda: store.current.phonebook))
    write("The schema is up to date.")


def backup(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Where to; - is standard output.")
    ],
    *,
    config: ConfigOption = None,
    secrets_dir: SecretsOption = None,
    settings: SetOption = None,
    pushgateway: PushgatewayOption = None,
) -> None:
    """
    Write all contacts of the database to a file, while the service goes on.

    The file holds one moment of the database, in a form that any database can be
    restored from; it is whole, or not there. Only its owner may read it.
    """
    store = open_store(config, secrets_dir, settings)
    if file == STREAM and sys.stdout is not None and sys.stdout.isatty():
        raise typer.BadParameter("a backup is not for a terminal: name a file")
    from service.cli.replacing import replacing

    _has_file(store)
    with measured("phonebook backup", pushgateway), _failures():
        if file == STREAM:
            count = asyncio.run(_written(store, write_bytes))
        else:
            with replacing(file) as out:
                count = asyncio.run(_written(store, out.write))
            if file.is_file():  # a pipe may be standard output itself
                write(f"{file} has {count} contacts.")


def restore(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A backup; - is standard input.")
    ],
    *,
    replace: Annotated[
        bool, typer.Option("--replace", help="Contacts that are there may go.")
    ] = False,
    config: ConfigOption = None,
    secrets_dir: SecretsOption = None,
    settings: SetOption = None,
    pushgateway: PushgatewayOption = None,
) -> None:
    """
    Put the contacts of a backup into the database: all of them, or none.

    A backup that was cut or altered is refused, and so is a database that has contacts,
    unless they may be replaced. The service may go on; it can't change contacts
    meanwhile.
    """
    store = open_store(config, secrets_dir, settings)
    with measured("phonebook restore", pushgateway), _failures():
        if file == STREAM:
            count = asyncio.run(_restored(store, standard_input(), replace=replace))
        else:
            with file.open("rb") as found:
                if found.seekable():
                    _check(found)
                count = asyncio.run(_restored(store, found, replace=replace))
        write(f"{count} contacts were restored.")


async def _written(store: "SettingsStore", out: Callable[[bytes], Any]) -> int:
    from service.cli.progress import counting
    from service.phonebook.backup import backup as pieces

    count = 0
    with counting("backup", "contacts") as advance:
        async with _database(store) as database:
            async for head, piece in pieces(database):
                out(piece)
                count += piece.count(b"\n")
                advance(min(count, head.contacts), head.contacts)
    return head.contacts


async def _restored(store: "SettingsStore", found: BinaryIO, *, replace: bool) -> int:
    from service.cli.progress import counting
    from service.phonebook.backup import records
    from service.phonebook.restoring import restore as put

    with counting("restore", "contacts") as advance:
        async with _database(store) as database:
            head = await put(database, records(found), replace=replace, advance=advance)
    return head.contacts


def _check(file: BinaryIO) -> None:
    """Read the whole file once, before the database is touched."""
    from service.phonebook.backup import records

    for _ in records(file):
        pass
    file.seek(0)


def _has_file(store: "SettingsStore") -> None:
    """Refuse to make an empty database where none is."""
    current = store.current.phonebook
    if current.store == "sqlite" and not Path(current.sqlite_path).is_file():
        complain(f"there is no database at {current.sqlite_path}")
        raise typer.Exit(1)


@asynccontextmanager
async def _database(store: "SettingsStore") -> AsyncIterator["Database"]:
    from service.phonebook.databases import database

    found = database(lambda: store.current.phonebook)
    try:
        yield found
    finally:
        await found.close()


@contextmanager
def _failures() -> Iterator[None]:
    """Tell in a line why nothing was done, and exit with its code."""
    from sqlalchemy.exc import SQLAlchemyError

    from service.phonebook.backup import Damaged, NoPhonebook
    from service.phonebook.restoring import NotEmpty
    from service.phonebook.store import StoreUnavailable

    code = 1
    try:
        yield
    except StoreUnavailable as error:
        why = f"the phone book's store is away: {_first_line(error)}"
    except Damaged as error:
        why = f"this can't be restored: {error}. Nothing was changed."
    except NotEmpty:
        why = "the database has contacts: --replace takes them away first"
    except NoPhonebook:
        why = "the database has no phone book"
    except SQLAlchemyError as error:
        why = f"the database refuses it: {_first_line(error)}"
    except OSError as error:
        why, code = f"{error.filename or 'the file'}: {error.strerror}", 2
    else:
        return
    complain(why)
    raise typer.Exit(code)


def _first_line(error: BaseException) -> str:
    said = str(getattr(error, "orig", None) or error)
    return said.splitlines()[0] if said else type(error).__name__
