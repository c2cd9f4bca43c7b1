"""`httpserver phonebook list`, `search` and `status`."""

import asyncio
import json
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from service.cli.output import complain, write
from service.cli.remote import calls

if TYPE_CHECKING:
    from service.getting.asking import Ask

__all__ = ["JsonOption", "list_contacts", "search", "status"]

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print a line of JSON for each contact.")
]
LimitOption = Annotated[
    int, typer.Option(metavar="N", min=0, help="Most contacts; 0 for all.")
]

_NUMBER = re.compile(r"\s*\+?[0-9][0-9 ()./-]*\*?")
"""What is looked for as a number: all else is a name."""


@calls
def list_contacts(
    *,
    ask: "Ask",
    sort: Annotated[
        Literal["name", "-name", "created", "-created", "number", "-number"],
        typer.Option(help="Order; with - backwards."),
    ] = "name",
    limit: LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """
    Print contacts: a table on a terminal, else number, first name, last name, e-mail,
    note and id between tabs.
    """
    asyncio.run(_shown(ask, {"sort": sort}, limit=limit, as_json=as_json))


@calls
def search(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="WORD...",
            help="Beginnings of names, whatever case and accents; or a number, or the "
            "beginning of one with * at its end.",
        ),
    ],
    *,
    ask: "Ask",
    limit: LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """
    Print the contacts with these names, or this number; exit code 1 when there are
    none.
    """
    text = " ".join(words)
    query = {"number" if _NUMBER.fullmatch(text) else "q": text}
    if not asyncio.run(_shown(ask, query, limit=limit, as_json=as_json)):
        complain("no contact was found")
        raise typer.Exit(1)


@calls
def status(
    *,
    ask: "Ask",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print how many contacts there are."""
    from service.top.words import count_text

    count = asyncio.run(_counted(ask))
    if as_json:
        write(json.dumps({"url": ask.url, "contacts": count}))
    else:
        write(f"{ask.url}: {count_text(count)} contacts")


async def _counted(ask: "Ask") -> int:
    from service.cli.phonebook.book import CONTACTS
    from service.getting.calling import Caller, OtherAnswer

    async with Caller(ask) as caller:
        count = (await caller.json("GET", f"{CONTACTS}/status")).get("contacts")
    if not isinstance(count, int):
        raise OtherAnswer(f"what answers at {ask.url} is no phone book")
    return count


async def _shown(
    ask: "Ask", query: dict[str, Any], *, limit: int, as_json: bool
) -> int:
    """Show what is found; return how many these are."""
    from service.cli.phonebook.book import pages
    from service.cli.phonebook.showing import show
    from service.getting.calling import Caller

    count, are_more = 0, False
    async with Caller(ask) as caller:
        async for contacts, are_more in pages(caller, query, limit=limit):  # noqa: B007 - the last one counts
            show(contacts, as_json=as_json)
            count += len(contacts)
    if are_more:
        complain(f"the first {count}; --limit 0 shows all")
    return count
