"""`httpserver files put` and `get`."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.remote import calls

if TYPE_CHECKING:
    from service.getting.asking import Ask

__all__ = ["get", "put"]

STREAM = "-"

PartsOption = Annotated[
    int,
    typer.Option(
        metavar="N",
        min=1,
        max=64,
        help="Transfers at once: files, and parts of a large one that is got.",
    ),
]
RecursiveOption = Annotated[
    bool, typer.Option("--recursive", "-r", help="Directories with all in them.")
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print a line of JSON for each file.")
]


@calls
def put(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="Files; - is standard input."),
    ],
    *,
    ask: "Ask",
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="PATH",
            help="Where to: a directory, with / at its end, or the name of one file.",
        ),
    ] = "",
    recursive: RecursiveOption = False,
    replace: Annotated[
        bool,
        typer.Option("--replace/--no-replace", help="Whether files may be replaced."),
    ] = True,
    parts: PartsOption = 4,
    as_json: JsonOption = False,
) -> None:
    """
    Upload files. One that was cut goes on where it stopped when the same command is
    given again.

    A file is seen when it is whole and its digest right, or not at all. Exit code 1
    when one was not stored; the others are all the same.
    """
    from service.cli.files.putting import Puts, planned

    jobs = planned(sources, to, recursive=recursive)
    puts = Puts(jobs, replace=replace, as_json=as_json)
    asyncio.run(puts.run(ask, streams=parts))
    puts.end()


@calls
def get(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH...", help="Files of the service.")
    ],
    *,
    ask: "Ask",
    to: Annotated[
        str,
        typer.Option(
            "--to",
            "-o",
            metavar="FILE",
            help="Where to: a file, a directory (one that is there, or with / at its "
            "end), or - for standard output.",
        ),
    ] = "",
    recursive: RecursiveOption = False,
    parts: PartsOption = 4,
    as_json: JsonOption = False,
) -> None:
    """
    Download files. One that was cut is kept as NAME.part and goes on where it stopped
    when the same command is given again, if it is the same version still.

    A file is there when it is whole and its digest right; what was there before stays
    until then. Exit code 1 when one was not got; the others are all the same.
    """
    from service.cli.files.fetching import Gets, targets

    if to == STREAM:
        from service.cli.files.fetching import streamed

        if len(paths) > 1 or recursive or as_json:
            raise typer.BadParameter("--to - is for one file, and for nothing besides")
        asyncio.run(streamed(ask, paths[0]))
        return
    gets = Gets(targets(paths, to, recursive=recursive), as_json=as_json)
    asyncio.run(gets.run(ask, parts=parts))
    gets.end()
