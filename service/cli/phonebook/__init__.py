"""
`httpserver phonebook`: a client of the phone book, and the care of its database.

What reads and changes contacts calls a service; `backup`, `restore` and `migrate` reach
for the database itself, by the settings of the service.
"""

import typer

from service.cli.phonebook import changing, keeping, reading, transferring

__all__ = ["app"]

app = typer.Typer(
    help="Contacts of a service, and the phone book's database.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command(name="list")(reading.list_contacts)
app.command()(reading.search)
app.command()(reading.status)
app.command()(changing.insert)
app.command()(changing.update)
app.command()(changing.delete)
app.command(name="import")(transferring.import_contacts)
app.command()(transferring.export)
app.command()(keeping.migrate)
app.command()(keeping.backup)
app.command()(keeping.restore)
