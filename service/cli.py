"""
The command line: serve, look at the settings, hash a password.

Each command imports what it needs when it runs, so that `version`, help and completion
start at once. Exit codes: 0 done, 1 failed, 2 wrong settings or usage, 130 interrupted.
Wrong settings are told on standard error, one line each.
"""

import importlib
import json
import os
import shutil
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from service import __version__

if TYPE_CHECKING:
    from service.config import SettingsStore

__all__ = ["app", "main"]

_LONGEST_PASSWORD = 4096
"""Bytes of a password; more is not typed by anyone."""


class ShowFormat(StrEnum):
    """How `config show` writes the settings."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


app = typer.Typer(
    name="httpserver",
    help="The reference cloud-native HTTP service in Python.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
config = typer.Typer(
    help="Show, check and describe the settings.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(config, name="config")


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


def _import_structlog() -> None:
    """
    Import structlog as if rich were not there.

    It would import rich for tracebacks in colour, which nobody prints here: a tenth of
    the time from the start until ready.
    """
    if "rich" in sys.modules:
        return
    sys.modules["rich"] = None  # type: ignore[assignment]  # Python's own way to say so
    try:
        importlib.import_module("structlog")
    finally:
        del sys.modules["rich"]


@app.command()
def serve(
    *,
    config: ConfigOption = None,
    secrets_dir: SecretsOption = None,
    settings: SetOption = None,
    host: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Address of the main listener."),
    ] = None,
    port: Annotated[
        list[int] | None,
        typer.Option(
            metavar="PORT", help="Port of the main listener. May be repeated."
        ),
    ] = None,
    admin_port: Annotated[
        int | None, typer.Option(metavar="PORT", help="Port of the admin listener.")
    ] = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error", "critical"] | None,
        typer.Option(help="Lowest level that is logged."),
    ] = None,
    log_format: Annotated[
        Literal["auto", "json", "console"] | None,
        typer.Option(help="JSON lines, lines for people, or by what the output is."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", help="Processes that serve the main ports."),
    ] = None,
) -> None:
    """
    Serve until SIGTERM or SIGINT.

    Settings come from, each over the one before: defaults, settings file, secrets
    folder, environment (HTTPSERVER_SECTION__FIELD), --set, the other options.
    `httpserver config example` writes a settings file with all of them.
    """
    options = {
        "--host": ("server.host", host),
        "--port": ("server.ports", port or None),
        "--admin-port": ("server.admin.port", admin_port),
        "--log-level": ("log.level", log_level),
        "--log-format": ("log.format", log_format),
        "--workers": ("server.workers", workers),
    }
    _import_structlog()
    store = _open(config, secrets_dir, settings, options=options)
    from service.errors import ServiceError
    from service.running import run

    try:
        code = run(store)
    except ServiceError as error:
        _complain(str(error))
        raise typer.Exit(1) from None
    raise typer.Exit(code)


@config.command()
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
    store = _open(config, secrets_dir, settings)
    from service.config import show as shown

    rows = shown.rows(store.current, origins=store.origins)
    match form:
        case ShowFormat.TABLE:
            _write(shown.as_table(rows, width=_terminal_width()))
        case ShowFormat.JSON:
            _write(shown.as_json(rows))
        case ShowFormat.YAML:
            _write(shown.as_yaml(rows))


@config.command()
def check(
    *,
    config: ConfigOption = None,
    secrets_dir: SecretsOption = None,
    settings: SetOption = None,
) -> None:
    """
    Check the settings from all sources: exit code 0 when they can be used, else 2.

    Every problem is one line on standard error: place, setting, reason.
    """
    _open(config, secrets_dir, settings)
    _write("the settings can be used")


@config.command()
def schema() -> None:
    """Print the JSON Schema (2020-12) of a settings file."""
    from service.config.reference import json_schema

    _write(json.dumps(json_schema(), indent=2))


@config.command()
def example() -> None:
    """Print a settings file with every setting at its default, commented."""
    from service.config.reference import example as text

    _write(text().rstrip())


@app.command()
def hash_password() -> None:
    """
    Print the Argon2 hash of a password, for `login.users`.

    The password is asked for, or read from standard input when that is no terminal.
    """
    from argon2 import PasswordHasher

    terminal = sys.stdin is not None and sys.stdin.isatty()
    password = _ask_password() if terminal else _read_password()
    if not password:
        raise typer.BadParameter("the password is empty")
    _write(PasswordHasher().hash(password))


@app.command()
def version() -> None:
    """Print the version."""
    python = ".".join(str(part) for part in sys.version_info[:3])
    _write(f"httpserver {__version__} (Python {python})")


def main() -> None:
    """Run the command line and exit."""
    app(prog_name="httpserver")


def _open(
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
            _complain(problem)
        raise typer.Exit(2) from None


def _complain(line: str) -> None:
    typer.echo(line, err=True)


def _ask_password() -> str:
    import getpass

    password = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != password:
        raise typer.BadParameter("the passwords differ")
    return password


def _read_password() -> str:
    """Read one line; more than that is a mistake, not a password."""
    content = sys.stdin.buffer.read(_LONGEST_PASSWORD + 1) if sys.stdin else b""
    if len(content) > _LONGEST_PASSWORD:
        raise typer.BadParameter("the password is longer than 4096 bytes")
    try:
        password = content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise typer.BadParameter("the password is not UTF-8") from None
    if "\n" in password:
        raise typer.BadParameter("the password has more than one line")
    return password


def _terminal_width() -> int | None:
    """Return the columns of the terminal, or None when the output is another."""
    terminal = sys.stdout is not None and sys.stdout.isatty()
    return shutil.get_terminal_size().columns if terminal else None


def _write(text: str) -> None:
    """
    Write *text* to standard output and its end of line.

    A reader that is gone (`| head`) ends the command silently, a full disk with a word.
    """
    try:
        typer.echo(text)
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            _complain(f"can't write to standard output: {error.strerror}")
        # What is still held would be written, and fail, when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
