"""The phone book as a service gives it: contacts by number or id, page by page."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import typer

from service.errors import ServiceError
from service.getting.calling import Caller, OtherAnswer, Refused

__all__ = ["CONTACTS", "NoContact", "absent", "found", "name_of", "owner", "pages"]

CONTACTS = "/api/v1/contacts"

_PAGE = 500
_NOT_FOUND = 404
_NO_CONTACT = "There is no such contact."
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

Contact = dict[str, Any]


class NoContact(ServiceError):
    """No contact has this number or id."""


async def pages(
    caller: Caller, query: dict[str, Any], *, limit: int
) -> AsyncIterator[tuple[list[Contact], bool]]:
    """
    Yield contacts, a page at a time.

    Args:
        caller: Calls the service.
        query: What is asked.
        limit: Most contacts of all pages; 0 for all.

    Yields:
        The contacts, and whether there are more of them.
    """
    left, asked = limit, dict(query)
    while True:
        size = min(_PAGE, left) if limit else _PAGE
        page = await caller.json("GET", CONTACTS, query={**asked, "limit": size})
        items, following = page.get("items"), page.get("next")
        if not isinstance(items, list) or not all(map(_is_contact, items)):
            raise OtherAnswer("what answers is no phone book")
        left -= len(items)
        yield items, bool(following)
        if not following or (limit and left <= 0):
            return
        asked = dict(parse_qsl(urlsplit(str(following)).query))


async def found(caller: Caller, who: str) -> Contact:
    """
    Return the contact with this number or id.

    Raises:
        NoContact: There is none.
    """
    if _ID.fullmatch(who.lower()):
        with absent(who):
            named = await caller.json("GET", f"{CONTACTS}/{who.lower()}")
        if not _is_contact(named):
            raise OtherAnswer("what answers is no phone book")
        return named
    contact = await owner(caller, who)
    if contact is None:
        raise NoContact(f"no contact has {who}")
    return contact


@contextmanager
def absent(who: str) -> Iterator[None]:
    """Raise `NoContact` for a 404 in the block that is the phone book's own."""
    try:
        yield
    except Refused as error:
        if error.status != _NOT_FOUND or error.problem.get("detail") != _NO_CONTACT:
            raise
        raise NoContact(f"no contact has {who}") from None


async def owner(caller: Caller, number: str) -> Contact | None:
    """Return the contact that has *number*, or None."""
    if number.rstrip().endswith("*"):
        raise typer.BadParameter(f"{number}: the beginnings of numbers are for search")
    query = {"number": number}
    async for items, _ in pages(caller, query, limit=1):
        return next(iter(items), None)
    return None


def _is_contact(found: Any) -> bool:
    return isinstance(found, dict) and isinstance(found.get("id"), str)


def name_of(contact: Contact) -> str:
    """Return both names of a contact."""
    both = f"{contact.get('first_name') or ''} {contact.get('last_name') or ''}"
    return both.strip()
