"""`httpserver phonebook`: what operators do to the phone book's database."""

import asyncio

import typer

from service.cli.output import complain, write
from service.cli.settings import ConfigOption, SecretsOption, SetOption, open_store

__all__ = ["app"]

app = typer.Typer(help="The phone book's database.", no_args_is_help=True)


@app.callback()
def phonebook() -> None:
    """Look after the phone book's database."""


@app.command()
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
    from service.phonebook.store import StoreUnavailable

    try:
        asyncio.run(migrate_once(lambda: store.current.phonebook))
    except StoreUnavailable as error:
        complain(f"the phone book's store is away: {error}")
        raise typer.Exit(1) from None
    write("The schema is up to date.")
