"""
The port of the phone book: what it asks of a store, and how a store fails.

Two adapters keep to it, SQLite and PostgreSQL, and one suite of tests holds both to the
same answers. A change is whole or not there at all; one that was acknowledged stays,
through a crash of the service or the machine.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from service.phonebook.model import Contact, ContactFields
from service.resilience.retry import TransientError

__all__ = [
    "Added",
    "Conflict",
    "ContactStore",
    "Duplicate",
    "NotFound",
    "OnceKey",
    "OtherRequest",
    "Page",
    "Query",
    "Sort",
    "StoreError",
    "StoreUnavailable",
]

Sort = Literal["name", "-name", "created", "-created", "number", "-number"]


class StoreError(Exception):
    """What a store answers instead of contacts."""


class NotFound(StoreError):
    """There is no such contact."""


class Duplicate(StoreError):
    """Another contact has this number."""


class Conflict(StoreError):
    """The contact has another version than the change was meant for."""


class OtherRequest(StoreError):
    """The idempotency key was used for another request."""


class StoreUnavailable(StoreError, TransientError):
    """
    The store is away, busy or full for now; nothing was changed, or all of it.

    Args:
        again: Whether the very same operation may succeed at once.
    """

    def __init__(self, *args: object, again: bool = True) -> None:
        super().__init__(*args)
        self.again = again


@dataclass(frozen=True, slots=True, kw_only=True)
class OnceKey:
    """
    An idempotency key.

    Attributes:
        key: Key, with who sent it; up to 64 characters.
        fingerprint: Equal for equal requests; up to 64 characters.
        ttl: Seconds that the answer is kept.
    """

    key: str
    fingerprint: str
    ttl: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """
    Which contacts are listed, and from where.

    Attributes:
        terms: Folded beginnings of words; each must begin a word of the names. Sorted
            by the word that the longest one finds, then by name; *sort* is not asked.
        number: Exact number, or with *is_prefix* the beginning of one; None for any.
        is_prefix: Sorts by number; *sort* is not asked.
        sort: Order.
        after: Key of the last contact of the page before; empty for the first page.
        limit: Most contacts, >= 1.
    """

    terms: tuple[str, ...] = ()
    number: str | None = None
    is_prefix: bool = False
    sort: Sort = "name"
    after: tuple[str, ...] = ()
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Page:
    """
    Some contacts in their order.

    Attributes:
        contacts: They.
        last: What `Query.after` goes on from; empty when these were the last.
    """

    contacts: tuple[Contact, ...]
    last: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Added:
    """
    What became of a new contact.

    Attributes:
        contact: As it was added.
        replayed: Whether by an earlier request with the same key.
    """

    contact: Contact
    replayed: bool = False


class ContactStore(Protocol):
    """
    Keeps contacts.

    Each method raises `StoreUnavailable` when the store is away.

    Concurrency:
        Any number of tasks of one event loop, and any number of processes.
    """

    async def find(self, query: Query) -> Page:
        """Return a page of contacts."""

    async def get(self, contact_id: str) -> Contact:
        """
        Return a contact.

        Raises:
            NotFound: There is none.
        """

    async def add(self, fields: ContactFields, *, once: OnceKey | None = None) -> Added:
        """
        Keep a new contact, once for a key.

        Raises:
            Duplicate: Another contact has the number.
            OtherRequest: The key was used with another fingerprint.
        """

    async def add_all(self, batch: Sequence[ContactFields]) -> list[bool]:
        """
        Keep many new contacts, in one step.

        Returns:
            For each whether it is new; those whose number is taken are left out.
        """

    async def taken(self, numbers: Collection[str]) -> set[str]:
        """Return those of some hundred *numbers* that contacts have."""

    async def replace(
        self, contact_id: str, fields: ContactFields, *, version: int | None = None
    ) -> Contact:
        """
        Change a contact, if it has *version*.

        Raises:
            NotFound: There is none.
            Conflict: It has another version.
            Duplicate: Another contact has the number.
        """

    async def delete(self, contact_id: str, *, version: int | None = None) -> None:
        """
        Take a contact away, if it has *version*.

        Raises:
            NotFound: There is none.
            Conflict: It has another version.
        """

    async def count(self) -> int:
        """Return how many contacts there are."""

    async def ping(self) -> None:
        """Return when the store answers."""
