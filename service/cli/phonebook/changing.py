"""`httpserver phonebook insert`, `update` and `delete`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

import typer

from service.cli.output import complain
from service.cli.phonebook.reading import JsonOption
from service.cli.remote import calls
from service.errors import ServiceError
from service.top.words import plain

if TYPE_CHECKING:
    from service.getting.asking import Ask
    from service.getting.calling import Caller

__all__ = ["delete", "insert", "update"]

_CONFLICT = 409
_PRECONDITION_FAILED = 412

WhoArgument = Annotated[
    str, typer.Argument(metavar="WHO", help="Number or id of the contact.")
]
EmailOption = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="Mail address.")
]
NoteOption = Annotated[str | None, typer.Option(metavar="TEXT", help="Anything else.")]
VersionOption = Annotated[
    int | None,
    typer.Option(
        "--version", metavar="N", min=1, help="Only if this is still its version."
    ),
]


@calls
def insert(
    first_name: Annotated[str, typer.Argument(help="May be '' where last is not.")],
    last_name: Annotated[str, typer.Argument(help="The other way round.")],
    number: Annotated[str, typer.Argument(help="Telephone number.")],
    *,
    ask: "Ask",
    email: EmailOption = None,
    note: NoteOption = None,
    key: Annotated[
        str | None,
        typer.Option(
            "--idempotency-key",
            metavar="TEXT",
            help="The same command with the same key adds the contact once.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Add a contact, and print it; a number that is taken is refused."""
    values = _values(
        first_name=first_name,
        last_name=last_name,
        number=number,
        email=email or None,
        note=note or None,
    )
    once = {"idempotency-key": f'"{key or uuid4()}"'}

    async def work(caller: "Caller") -> None:
        from service.cli.phonebook.book import CONTACTS

        async with _naming_the_owner(caller, number):
            added = await caller.json("POST", CONTACTS, values=values, headers=once)
        _show(added, as_json=as_json)

    _run(ask, work)


@calls
def update(
    who: WhoArgument,
    *,
    ask: "Ask",
    first_name: Annotated[str | None, typer.Option(help="First name.")] = None,
    last_name: Annotated[str | None, typer.Option(help="Last name.")] = None,
    number: Annotated[str | None, typer.Option(help="Telephone number.")] = None,
    email: EmailOption = None,
    note: NoteOption = None,
    version: VersionOption = None,
    as_json: JsonOption = False,
) -> None:
    """
    Change what is given of a contact, and print it; '' takes a value away.

    What others change at the same time of the rest of it stays. With --version it is
    changed only if nobody has changed it since.
    """
    changes = _values(
        first_name=first_name,
        last_name=last_name,
        number=number,
        email=email,
        note=note,
    )
    if not changes:
        raise typer.BadParameter("nothing is to be changed: give --number, --note, …")
    patch = {name: value or None for name, value in changes.items()}

    async def work(caller: "Caller") -> None:
        from service.cli.phonebook.book import CONTACTS, found

        contact = await found(caller, who)
        change = caller.json(
            "PATCH",
            f"{CONTACTS}/{contact['id']}",
            values=patch,
            headers={"if-match": "*" if version is None else f'"{version}"'},
            # the same change twice is the same; that of a version has one chance
            repeat=version is None,
        )
        async with (
            _naming_the_version(caller, contact),
            _naming_the_owner(caller, number or ""),
        ):
            changed = await change
        _show(changed, as_json=as_json)

    _run(ask, work)


@calls
def delete(
    whom: Annotated[
        list[str], typer.Argument(metavar="WHO...", help="Numbers or ids of contacts.")
    ],
    *,
    ask: "Ask",
    version: VersionOption = None,
    as_json: JsonOption = False,
) -> None:
    """
    Take contacts away, and print them as they were.

    Exit code 1 when one of them was not there; the others are gone all the same.
    """
    if version is not None and len(whom) > 1:
        raise typer.BadParameter("--version is for one contact")
    head = {} if version is None else {"if-match": f'"{version}"'}

    async def one(caller: "Caller", who: str) -> None:
        from service.cli.phonebook.book import CONTACTS, NoContact, absent, found

        contact = await found(caller, who)
        try:
            with absent(who):
                async with _naming_the_version(caller, contact):
                    place = f"{CONTACTS}/{contact['id']}"
                    await caller.call("DELETE", place, headers=head)
        except NoContact:  # by an attempt that got through unheard, or by another
            pass
        _show(contact, as_json=as_json)

    async def work(caller: "Caller") -> None:
        from service.cli.phonebook.book import NoContact

        missing = False
        for who in whom:
            try:
                await one(caller, who)
            except NoContact as error:
                complain(plain(str(error)))
                missing = True
        if missing:
            raise typer.Exit(1)

    _run(ask, work)


def _values(**given: str | None) -> dict[str, str]:
    return {name: value for name, value in given.items() if value is not None}


def _run(ask: "Ask", work: Any) -> None:
    async def called() -> None:
        from service.getting.calling import Caller

        async with Caller(ask) as caller:
            await work(caller)

    asyncio.run(called())


@asynccontextmanager
async def _naming_the_owner(caller: "Caller", number: str) -> AsyncIterator[None]:
    """Tell whose a number is that is refused as taken."""
    from service.cli.phonebook.book import name_of, owner
    from service.getting.calling import Refused

    try:
        yield
    except Refused as error:
        if error.status != _CONFLICT or not number:
            raise
        contact = await owner(caller, number)
        if contact is not None:
            whose = plain(f"{name_of(contact)} ({contact.get('id')})")
            complain(f"{plain(number)} is taken: {whose} has it")
        raise typer.Exit(1) from None


@asynccontextmanager
async def _naming_the_version(
    caller: "Caller", contact: dict[str, Any]
) -> AsyncIterator[None]:
    """Tell the version that a contact has, when a change was meant for another."""
    from service.cli.phonebook.book import CONTACTS
    from service.getting.calling import Refused

    try:
        yield
    except Refused as error:
        if error.status == _PRECONDITION_FAILED:
            with suppress(ServiceError):  # the refusal is what matters
                there = await caller.json("GET", f"{CONTACTS}/{contact['id']}")
                complain(plain(f"it has version {there.get('version')} now"))
        raise


def _show(contact: dict[str, Any], *, as_json: bool) -> None:
    from service.cli.phonebook.showing import show

    show([contact], as_json=as_json)
