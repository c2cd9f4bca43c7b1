"""The options that every command with settings has, and the settings they give."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.output import complain

if TYPE_CHECKING:
    from service.config import SettingsStore

__all__ = ["ConfigOption", "SecretsOption", "SetOption", "open_store"]


def _assignment(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise typer.BadParameter("must be SECTION.FIELD=VALUE")
    return key, value


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="Settings file, .yaml, .yml or .toml. Without: HTTPSERVER_CONFIG, or "
        "/etc/httpserver/config.yaml if it is there.",
    ),
]
SecretsOption = Annotated[
    Path | None,
    typer.Option(
        "--secrets-dir",
        metavar="FOLDER",
        help="Folder of files named SECTION__FIELD, such as a mounted Secret. Without: "
        "HTTPSERVER_SECRETS_DIR, or /etc/httpserver/secrets if it is there.",
    ),
]
SetOption = Annotated[
    list[Any] | None,
    typer.Option(
        "--set",
        metavar="SECTION.FIELD=VALUE",
        parser=_assignment,
        help="Any setting, over all other sources; lists and mappings as JSON. May be "
        "repeated.",
    ),
]


def open_store(
    config: Path | None,
    secrets_dir: Path | None,
    assignments: list[Any] | None,
    *,
    options: dict[str, tuple[str, Any]] | None = None,
) -> "SettingsStore":
    """Return the settings in force, or tell what is wrong with them and exit with 2."""
    from service.config import Flag, SettingsStore, Sources
    from service.errors import SettingsError

    flags = [Flag(option="--set", key=key, value=v) for key, v in assignments or []]
    flags += [
        Flag(option=option, key=key, value=value)
        for option, (key, value) in (options or {}).items()
        if value is not None
    ]
    try:
        return SettingsStore(
            Sources(config=config, secrets=secrets_dir, flags=tuple(flags))
        )
    except SettingsError as error:
        for problem in error.problems:
            complain(problem)
        raise typer.Exit(2) from None
