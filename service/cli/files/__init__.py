"""
`httpserver files`: a client of the file server.

Whatever is cut goes on where it stopped: downloads by ranges, uploads by the IETF's
draft of resumable uploads. What is transferred is compared with its digest before it
takes its name, at either end.
"""

import typer

from service.cli.files import listing, moving

__all__ = ["app"]

app = typer.Typer(
    help="Files of a service.", no_args_is_help=True, rich_markup_mode=None
)
app.command(name="ls")(listing.list_files)
app.command()(moving.put)
app.command()(moving.get)
app.command(name="rm")(listing.remove)
