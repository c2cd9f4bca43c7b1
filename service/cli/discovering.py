"""`httpserver discover`."""

import asyncio
import json
from typing import Annotated, Any

import typer

from service.cli.output import complain, write
from service.cli.settings import ConfigOption, SecretsOption, SetOption, open_store

__all__ = ["discover"]


def discover(
    services: Annotated[
        list[str] | None,
        typer.Argument(metavar="SERVICE", help="Which; all without."),
    ] = None,
    *,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Go on, and print each change.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a line of JSON for each look.")
    ] = False,
    timeout: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=0.1, help="Wait for the first answers."),
    ] = 5.0,
    config: ConfigOption = None,
    secrets_dir: SecretsOption = None,
    settings: SetOption = None,
) -> None:
    """
    Print where the services of `discovery.services` are, as this machine finds them.

    Exit codes: 0 each has an endpoint, 1 one has none, 2 wrong settings, or none are
    configured, 130 after Ctrl-C.
    """
    store = open_store(config, secrets_dir, settings)
    if not store.current.discovery.wanted:
        complain("discovery.services has none")
        raise typer.Exit(2)
    from service.discovery.looking import as_lines, looks
    from service.observability import logging
    from service.settings import LogSettings

    # what goes wrong is told with the service
    logging.configure(LogSettings(level="critical"))

    async def look() -> dict[str, Any]:
        seen: dict[str, Any] = {}
        found = looks(store.current.discovery, services or [], patience=timeout)
        async for seen in found:
            write(json.dumps(seen) if as_json else "\n".join(as_lines(seen)))
            if not watch:
                break
        await found.aclose()
        return seen

    seen = asyncio.run(look())
    raise typer.Exit(0 if all(each.get("endpoints") for each in seen.values()) else 1)
