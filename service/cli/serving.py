"""`httpserver serve`."""

from typing import Annotated, Literal

import typer

from service.cli.output import complain
from service.cli.settings import ConfigOption, SecretsOption, SetOption, open_store
from service.lean_imports import lean_imports

__all__ = ["serve"]


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
    with lean_imports():
        store = open_store(config, secrets_dir, settings, options=options)
        from service.errors import ServiceError
        from service.running import run

    try:
        code = run(store)
    except ServiceError as error:
        complain(str(error))
        raise typer.Exit(1) from None
    raise typer.Exit(code)
