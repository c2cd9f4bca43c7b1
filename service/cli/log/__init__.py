"""`httpserver log`: a client of the log service, and care for a log's directory."""

import typer

from service.cli.log.consuming import consume, tail
from service.cli.log.directory import dump, repair, stats, verify
from service.cli.log.producing import produce

__all__ = ["app"]

app = typer.Typer(
    help="Produce, consume and follow records; check, mend and print a directory.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
for _command in (produce, consume, tail, verify, stats, dump, repair):
    app.command()(_command)
