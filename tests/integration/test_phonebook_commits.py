"""A connection that breaks at the commit: what was done is kept, and done once."""

from contextlib import asynccontextmanager

import pytest
from typing_extensions import override

from service.phonebook.databases import sqlite
from service.phonebook.migrating import migrate
from service.phonebook.sql_store import SqlStore
from service.phonebook.store import NotFound, OnceKey, StoreUnavailable
from tests.support.phonebook import person


class UnheardStore(SqlStore):
    """Its next commit gets through, and nobody hears of it."""

    unheard = False

    @override
    def _writing(self):
        @asynccontextmanager
        async def writing():
            async with SqlStore._writing(self) as connection:
                yield connection
            if self.unheard:
                self.unheard = False
                raise StoreUnavailable("cut")

        return writing()


@pytest.fixture
async def store(tmp_path):
    database = sqlite(str(tmp_path / "book.sqlite3"))
    await migrate(database.writers)
    yield UnheardStore(database, timeout=lambda: 20.0)
    await database.close()


@pytest.mark.parametrize("once", [None, OnceKey(key="k", fingerprint="f", ttl=60)])
async def test_unheard_contact_is_no_duplicate_of_itself(store, once):
    """The second attempt finds the first one's contact, and calls it new."""
    store.unheard = True
    added = await store.add(person(1), once=once)

    assert not added.replayed
    assert await store.get(added.contact.id) == added.contact
    assert await store.count() == 1


async def test_unheard_batch_is_added_once(store):
    """All of a batch count as added, though the second attempt adds none."""
    await store.add(person(2))
    store.unheard = True

    assert await store.add_all([person(1), person(2)]) == [True, False]


async def test_unheard_change_is_no_conflict(store):
    """The version that the first attempt left is the one that was asked for."""
    added = (await store.add(person(1))).contact
    store.unheard = True
    changed = await store.replace(added.id, person(1, "Bea"), version=1)

    assert changed.version == 2
    assert await store.get(added.id) == changed


async def test_unheard_change_of_any_version_is_made_once(store):
    """Without a version to tell by, the second attempt knows its own work again."""
    added = (await store.add(person(1))).contact
    store.unheard = True
    changed = await store.replace(added.id, person(1, "Bea"))

    assert changed.version == 2
    assert await store.get(added.id) == changed


async def test_unheard_deletion_is_done(store):
    """Nothing is left to delete, and that is right."""
    added = (await store.add(person(1))).contact
    store.unheard = True
    await store.delete(added.id, version=1)

    with pytest.raises(NotFound):
        await store.get(added.id)
