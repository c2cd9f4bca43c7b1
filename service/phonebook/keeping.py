"""
The part that brings the store up, and the store that everybody else is given.

The service starts without its database: until that is there it is not ready and answers
503 for contacts, and goes on by itself once it is. The same holds while a schema is
changed that takes long: the start waits for it a little, so that no probe of the start
runs out of patience and cuts it.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError

from service.concurrency.cancelling import cancelled
from service.observability.phonebook_metrics import PhonebookMetrics
from service.phonebook.databases import Database, database, translated
from service.phonebook.migrating import check_schema, migrate
from service.phonebook.model import Contact, ContactFields
from service.phonebook.sql_store import SqlStore
from service.phonebook.store import (
    Added,
    Conflict,
    ContactStore,
    Duplicate,
    NotFound,
    OnceKey,
    OtherRequest,
    Page,
    Query,
    StoreUnavailable,
)
from service.resilience.backoff import Backoff
from service.settings import PhonebookSettings

__all__ = ["KeptStore", "migrate_once"]

T = TypeVar("T")

_RESULTS: dict[type[Exception], str] = {
    NotFound: "not_found",
    Duplicate: "duplicate",
    Conflict: "conflict",
    OtherRequest: "other_request",
    StoreUnavailable: "unavailable",
}

_START_WAITS = 5.0
"""Seconds that the start waits for the store."""

_log = logging.getLogger(__name__)


class KeptStore:
    """
    A store that comes up with the service, and is measured.

    Args:
        settings: Gives the settings as they are now.
        metrics: Where operations are counted.

    Concurrency:
        Tasks of the main event loop.
    """

    name = "phonebook"

    def __init__(
        self, settings: Callable[[], PhonebookSettings], *, metrics: PhonebookMetrics
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._database: Database | None = None
        self._store: ContactStore | None = None
        self._coming: asyncio.Task[None] | None = None
        self._away = ""

    async def start(self) -> None:
        """Open the database; one that is away is waited for in the background."""
        self._database = found = database(self._settings)
        tried = asyncio.Event()
        self._coming = asyncio.create_task(self._await_store(found, tried))
        with suppress(TimeoutError):
            await asyncio.wait_for(tried.wait(), _START_WAITS)

    async def stop(self) -> None:
        """Close the database."""
        if self._coming is not None:
            await cancelled([self._coming])
        if self._database is not None:
            await self._database.close()

    async def check(self) -> None:
        """Return when the store answers; raise why it does not."""
        store = self._ready()
        try:
            await store.ping()
        except StoreUnavailable as error:
            self._tell(str(error))
            raise
        except asyncio.CancelledError:  # the time of a check is over
            self._tell("no answer")
            raise
        self._tell("")

    async def find(self, query: Query) -> Page:
        """Return a page of contacts."""
        return await self._measured("find", lambda store: store.find(query))

    async def get(self, contact_id: str) -> Contact:
        """Return a contact."""
        return await self._measured("get", lambda store: store.get(contact_id))

    async def add(self, fields: ContactFields, *, once: OnceKey | None = None) -> Added:
        """Keep a new contact, once for a key."""
        return await self._measured("add", lambda store: store.add(fields, once=once))

    async def add_all(self, batch: Sequence[ContactFields]) -> list[bool]:
        """Keep many new contacts, in one step."""
        return await self._measured("add_all", lambda store: store.add_all(batch))

    async def taken(self, numbers: Collection[str]) -> set[str]:
        """Return those of *numbers* that contacts have."""
        return await self._measured("taken", lambda store: store.taken(numbers))

    async def replace(
        self, contact_id: str, fields: ContactFields, *, version: int | None = None
    ) -> Contact:
        """Change a contact, if it has *version*."""
        return await self._measured(
            "replace", lambda store: store.replace(contact_id, fields, version=version)
        )

    async def delete(self, contact_id: str, *, version: int | None = None) -> None:
        """Take a contact away, if it has *version*."""
        await self._measured(
            "delete", lambda store: store.delete(contact_id, version=version)
        )

    async def count(self) -> int:
        """Return how many contacts there are."""
        return await self._measured("count", lambda store: store.count())

    async def ping(self) -> None:
        """Return when the store answers."""
        await self.check()

    def _ready(self) -> ContactStore:
        if self._store is None:
            reason = self._away or "it is not open"
            raise StoreUnavailable(f"it has not come up yet: {reason}", again=False)
        return self._store

    def _tell(self, away: str) -> None:
        """Log it when the store goes or comes back."""
        if away and not self._away:
            _log.warning("phonebook_store_is_away", extra={"reason": away})
        elif self._away and not away:
            _log.info("phonebook_store_is_there")
        self._away = away

    async def _open(self, found: Database) -> None:
        if self._settings().migrate:
            with translated():
                await migrate(found.writers)
        with translated():
            await check_schema(found.checker)
        store = SqlStore(found, timeout=lambda: self._settings().timeout)
        await store.ping()
        self._store = store

    async def _await_store(self, found: Database, tried: asyncio.Event) -> None:
        for wait in Backoff(first=0.2, most=5.0).waits():
            try:
                await self._open(found)
            except StoreUnavailable as error:
                self._tell(str(error))
            except SQLAlchemyError as error:
                _log.exception("phonebook_store_failed")
                self._tell(type(error).__name__)
            else:
                self._tell("")
                return
            finally:
                tried.set()
            await asyncio.sleep(wait)

    async def _measured(
        self, operation: str, work: Callable[[ContactStore], Awaitable[T]]
    ) -> T:
        began, result = time.perf_counter(), "failed"
        if self._database is not None:
            self._metrics.connections.set(self._database.in_use() + 1)
        try:
            value = await work(self._ready())
            replayed = isinstance(value, Added) and value.replayed
            result = "replayed" if replayed else "done"
        except Exception as error:
            result = _RESULTS.get(type(error), "failed")
            raise
        finally:
            self._metrics.observe(operation, result, time.perf_counter() - began)
            if self._database is not None:
                self._metrics.connections.set(self._database.in_use())
        return value


async def migrate_once(settings: Callable[[], PhonebookSettings]) -> None:
    """
    Bring the schema of the database that *settings* name up to date.

    Raises:
        StoreUnavailable: The database is away.
    """
    found = database(settings)
    try:
        with translated():
            await migrate(found.writers)
    finally:
        await found.close()
