"""`httpserver top`."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from service.cli.output import complain, write

if TYPE_CHECKING:
    from service.top.fleet import Fleet, Look

__all__ = ["top"]

HERE = "http://127.0.0.1:9090/metrics"

PIPE_WIDTH = 100
"""Columns of what goes to no terminal, unless COLUMNS says otherwise."""


def top(
    urls: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="URL",
            help="Metrics of a service, or HOST:PORT of its admin port; several are "
            f"added up as replicas of one service.  [default: {HERE}]",
        ),
    ] = None,
    *,
    interval: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=0.2, max=3600, help="Time between looks."),
    ] = 2.0,
    once: Annotated[
        bool,
        typer.Option("--once", help="Look twice, print what happened between, end."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a line of JSON for each look.")
    ] = False,
    sort: Annotated[
        Literal["rate", "p99", "errors"],
        typer.Option(help="What routes are sorted by."),
    ] = "rate",
    ca: Annotated[
        Path | None,
        typer.Option(
            "--ca",
            metavar="FILE",
            help="Authorities that vouch for an https URL, PEM. Without: the system's.",
        ),
    ] = None,
) -> None:
    """
    Watch a running service: requests, latencies, errors, load.

    On a terminal the view is live: q ends it, r, p and e sort. Into a pipe goes text,
    a block for each look. Exit codes: 0 after q, 1 when --once finds nobody, 2 when
    the URL is wrong, 130 after Ctrl-C.
    """
    from service.top import watching
    from service.top.overview import Order

    names, fleet = _fleet(urls or [HERE], ca)
    title = names[0] if len(names) == 1 else "httpserver"
    order = Order(sort)
    if not (once or as_json) and _live():
        refused = watching.watch(fleet, title=title, interval=interval, order=order)
        if refused:
            _refuse(refused, 2)
        return

    def text(look: "Look") -> str:
        if as_json:
            return watching.as_json(look, order=order)
        width = shutil.get_terminal_size((PIPE_WIDTH, 0)).columns
        drawn = watching.as_text(look, title=title, width=width, order=order)
        return drawn if once else f"{drawn}\n"

    asyncio.run(_print(watching.looks(fleet, interval), text, once=once))


async def _print(
    looks: AsyncIterator["Look"], text: Callable[["Look"], str], *, once: bool
) -> None:
    """Print looks but the first, which has no rates: one of them, or without an end."""
    first = await anext(looks)
    if first.wrong:
        _refuse(first, 2)
    async for look in looks:
        if once and not look.answered:
            _refuse(look, 1)
        write(text(look))
        if once:
            return


def _fleet(urls: list[str], ca: Path | None) -> tuple[list[str], "Fleet"]:
    """Return the URLs, each once, and who is behind them, or exit with 2."""
    from service.top.fleet import Fleet
    from service.top.scrape import BadTarget, Scraper, target_url

    try:
        names = list(dict.fromkeys(target_url(each) for each in urls))
        return names, Fleet([Scraper(url, ca=ca) for url in names])
    except BadTarget as error:
        raise typer.BadParameter(str(error)) from None


def _live() -> bool:
    """Whether the output is a terminal that can be drawn on."""
    terminal = sys.stdout is not None and sys.stdout.isatty()
    return terminal and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")


def _refuse(look: "Look", code: int) -> NoReturn:
    """Tell what is wrong, and exit with *code*."""
    for url, why in look.problems.items():
        complain(f"{url}: {why}")
    raise typer.Exit(code)
