"""`httpserver config`: show, check and describe the settings."""

import json
from enum import StrEnum
from typing import Annotated

import typer

from service.cli.batch import PushgatewayOption, measured
from service.cli.output import terminal_width, write
from service.cli.settings import ConfigOption, SecretsOption, SetOption, open_store

__all__ = ["app"]


class ShowFormat(StrEnum):
    """How `config show` writes the settings."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


app = typer.Typer(
    help="Show, check and describe the settings.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
def show(
    *,
    config: ConfigOption = None,
    secrets_dir: SecretsOption = None,
    settings: SetOption = None,
    form: Annotated[
        ShowFormat, typer.Option("--format", help="How to write them.")
    ] = ShowFormat.TABLE,
) -> None:
    """
    Print every setting, its value and where the value came from; secrets are masked.

    Origins: `default`, a file with its line, `secrets:` and the file in the folder,
    `env:` and the variable, `flag:` and the option.
    """
    store = open_store(config, secrets_dir, settings)
    from service.config import show as shown

    rows = shown.rows(store.current, origins=store.origins)
    match form:
        case ShowFormat.TABLE:
            write(shown.as_table(rows, width=terminal_width()))
        case ShowFormat.JSON:
            write(shown.as_json(rows))
        case ShowFormat.YAML:
            write(shown.as_yaml(rows))


@app.command()
def check(
    *,
    config: ConfigOption = None,
    secrets_dir: SecretsOption = None,
    settings: SetOption = None,
    pushgateway: PushgatewayOption = None,
) -> None:
    """
    Check the settings from all sources: exit code 0 when they can be used, else 2.

    Every problem is one line on standard error: place, setting, reason.
    """
    with measured("config check", pushgateway):
        open_store(config, secrets_dir, settings)
    write("the settings can be used")


@app.command()
def schema() -> None:
    """Print the JSON Schema (2020-12) of a settings file."""
    from service.config.reference import json_schema

    write(json.dumps(json_schema(), indent=2))


@app.command()
def example() -> None:
    """Print a settings file with every setting at its default, commented."""
    from service.config.reference import example as text

    write(text().rstrip())
