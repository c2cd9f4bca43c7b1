"""
The command line: serve, look at the settings, hash a password, watch a service, call
one, look at a commit log.

Each command imports what it needs when it runs, so that `version`, help and completion
start at once. Exit codes: 0 done, 1 failed, 2 wrong settings or usage, 130 interrupted.
Wrong settings are told on standard error, one line each.
"""

import sys

import typer

from service import __version__
from service.cli import config, files, log, phonebook
from service.cli.discovering import discover
from service.cli.getting import get
from service.cli.output import write
from service.cli.password import hash_password
from service.cli.serving import serve
from service.cli.watching import top

__all__ = ["app", "main"]

app = typer.Typer(
    name="httpserver",
    help="The reference cloud-native HTTP service in Python.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(config.app, name="config")
app.add_typer(phonebook.app, name="phonebook")
app.add_typer(files.app, name="files")
app.add_typer(log.app, name="log")
app.command()(serve)
app.command()(hash_password)
app.command()(top)
app.command()(get)
app.command()(discover)


@app.command()
def version() -> None:
    """Print the version."""
    python = ".".join(str(part) for part in sys.version_info[:3])
    write(f"httpserver {__version__} (Python {python})")


def main() -> None:
    """Run the command line and exit."""
    app(prog_name="httpserver")
