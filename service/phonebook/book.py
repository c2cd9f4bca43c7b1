"""
What can be done with contacts, for whoever asks: the API and the plain paths.

Errors of the store leave as answers to a client. Cursors are opaque to clients; here
they are the key of the last contact and a mark of the question, so that one is never
used with another question.
"""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict, replace
from typing import Any
from weakref import WeakValueDictionary

import orjson

from service.errors import BadRequest, Unprocessable
from service.phonebook.answers import answered, crowded, no_version
from service.phonebook.folding import words
from service.phonebook.model import (
    Contact,
    ContactFields,
    contact_fields,
    e164,
    number_prefix,
)
from service.phonebook.store import (
    Added,
    Conflict,
    ContactStore,
    OnceKey,
    Page,
    Query,
    Sort,
)
from service.resilience.backoff import Backoff
from service.resilience.retry import Retry
from service.server.context import RequestContext
from service.server.idempotency import read_key
from service.settings import PhonebookSettings

__all__ = ["PhoneBook"]

_MAX_TERMS = 8
_MAX_CURSOR = 2000
_MAX_PART = 300
_EXPORTED = 500

_AGAIN = Retry(
    "phonebook",
    attempts=20,  # of those who change a contact at once one gets through each time
    backoff=Backoff(first=0.01, most=0.2),
    retry_on=lambda error: isinstance(error, Conflict),
)


class PhoneBook:
    """
    The contacts.

    Args:
        store: Keeps them.
        settings: Gives the settings as they are now.
        user: Returns the user of a request, or an empty name.
    """

    def __init__(
        self,
        store: ContactStore,
        settings: Callable[[], PhonebookSettings],
        *,
        user: Callable[[RequestContext], str],
    ) -> None:
        self.store = store
        self.settings = settings
        self._user = user
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def find(
        self, *, q: str, number: str, sort: Sort | None, limit: int, cursor: str
    ) -> tuple[Page, str]:
        """
        Return a page, and the cursor of the next one, empty without.

        Args:
            q: Beginnings of words of the names; empty for all.
            number: A number, or a beginning of one with `*` at its end; empty for any.
            sort: Order; None for the best.
            limit: Most contacts.
            cursor: Of the page before.
        """
        terms = tuple(words(q)[:_MAX_TERMS])
        if q.strip() and not terms:
            return Page(()), ""  # signs alone are in no word
        is_prefix = number.endswith("*")
        if sort and (terms or is_prefix):
            raise Unprocessable("What is searched comes in the order of the search.")
        with answered("query"):
            wanted = self._number(number) if number else None
        query = Query(
            terms=terms,
            number=wanted,
            is_prefix=is_prefix,
            sort=sort or "name",
            limit=limit,
        )
        mark = _mark(query)
        after = _read_cursor(cursor, mark, width=_width(query)) if cursor else ()
        with answered():
            page = await self.store.find(replace(query, after=after))
        return page, _cursor(mark, page.last) if page.last else ""

    async def get(self, contact_id: str) -> Contact:
        """Return a contact."""
        with answered():
            return await self.store.get(contact_id)

    async def with_number(self, number: str) -> Contact | None:
        """Return the contact with this number, or None."""
        with answered("path"):
            query = Query(number=self._number(number.removesuffix("*")), limit=1)
        with answered():
            return next(iter((await self.store.find(query)).contacts), None)

    async def count(self) -> int:
        """Return how many contacts there are."""
        with answered():
            return await self.store.count()

    async def add(
        self, ctx: RequestContext, values: Mapping[str, Any], *, key: str | None = None
    ) -> Added:
        """Keep a new contact, once for *key* or the request's idempotency key."""
        with answered():
            fields = self.checked(values)
            once = self._once(ctx, fields, key or read_key(ctx))
            return await self.store.add(fields, once=once)

    async def replace(
        self,
        contact_id: str,
        values: Mapping[str, Any],
        *,
        versions: frozenset[int] | None,
    ) -> Contact:
        """Change a contact that has one of *versions*."""
        with answered():
            fields = self.checked(values)
            version = await self._version(contact_id, versions)
            return await self.store.replace(contact_id, fields, version=version)

    async def patch(
        self,
        contact_id: str,
        changes: Mapping[str, Any],
        *,
        versions: frozenset[int] | None,
    ) -> Contact:
        """Change some values of a contact that has one of *versions*."""

        async def once() -> Contact:
            before = await self.store.get(contact_id)
            if versions is not None and before.version not in versions:
                raise no_version()
            fields = self.checked({**asdict(before.fields), **changes})
            return await self.store.replace(contact_id, fields, version=before.version)

        with answered():
            if versions is not None:
                return await once()
            try:
                # in turn here, so that only other replicas and versions come between
                async with self._turns.setdefault(contact_id, asyncio.Lock()):
                    return await _AGAIN.call(once)
            except Conflict:
                raise crowded() from None

    async def delete(
        self, contact_id: str, *, versions: frozenset[int] | None = None
    ) -> None:
        """Take a contact away that has one of *versions*."""
        with answered():
            version = await self._version(contact_id, versions)
            await self.store.delete(contact_id, version=version)

    async def everybody(self) -> AsyncIterator[tuple[Contact, ...]]:
        """Yield all contacts, oldest first, some at a time."""
        query = Query(sort="created", limit=_EXPORTED)
        while True:
            with answered():
                page = await self.store.find(query)
            yield page.contacts
            if not page.last:
                return
            query = Query(sort="created", limit=_EXPORTED, after=page.last)

    def checked(self, values: Mapping[str, Any]) -> ContactFields:
        """
        Return the fields of a contact; None stands for an empty text.

        Raises:
            InvalidContact: One can't be.
        """
        plain = {name: "" if value is None else value for name, value in values.items()}
        return contact_fields(**plain, region=self.settings().region)

    def _number(self, text: str) -> str:
        # a plus in a query means a space, and many clients forget to escape it
        plain = "+" + text[1:] if text.startswith(" ") else text
        if plain.endswith("*"):
            return number_prefix(plain[:-1])
        return e164(plain, region=self.settings().region)

    async def _version(
        self, contact_id: str, versions: frozenset[int] | None
    ) -> int | None:
        if versions is None:
            return None
        if len(versions) == 1:
            return next(iter(versions))
        current = (await self.store.get(contact_id)).version
        return current if current in versions else -1

    def _once(
        self, ctx: RequestContext, fields: ContactFields, key: str | None
    ) -> OnceKey | None:
        if key is None:
            return None
        place = orjson.dumps([self._user(ctx), ctx.method, ctx.route, key])
        return OnceKey(
            key=hashlib.sha256(place).hexdigest(),
            fingerprint=hashlib.sha256(orjson.dumps(fields)).hexdigest(),
            ttl=self.settings().idempotency_ttl,
        )


def _mark(query: Query) -> str:
    asked = [query.terms, query.number, query.is_prefix, query.sort]
    return hashlib.sha256(orjson.dumps(asked)).hexdigest()[:16]


def _width(query: Query) -> int:
    """Return how many parts the key of a contact has in this order."""
    if query.terms:
        return 3
    return 2 if query.sort.endswith("name") and not query.is_prefix else 1


def _cursor(mark: str, last: tuple[str, ...]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([mark, *last])).decode().rstrip("=")


def _read_cursor(cursor: str, mark: str, *, width: int) -> tuple[str, ...]:
    if len(cursor) > _MAX_CURSOR:
        raise BadRequest("The cursor is none of ours.")
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        parts = orjson.loads(base64.urlsafe_b64decode(padded))
        found, *last = parts
    except (ValueError, TypeError):
        raise BadRequest("The cursor is none of ours.") from None
    fits = all(isinstance(p, str) and len(p) <= _MAX_PART and "\0" not in p for p in last)  # fmt: skip  # noqa: E501 - one rule
    if found != mark or len(last) != width or not fits:
        raise BadRequest("The cursor belongs to another question.")
    return tuple(last)
