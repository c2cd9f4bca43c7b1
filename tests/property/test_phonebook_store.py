"""The store against a dict: whatever is done in whatever order, both say the same."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
)

from service.phonebook.databases import sqlite
from service.phonebook.folding import sort_key, words
from service.phonebook.migrating import migrate
from service.phonebook.model import Contact
from service.phonebook.sql_store import SqlStore
from service.phonebook.store import Conflict, Duplicate, NotFound, Query
from tests.support.phonebook import person

NAMES = st.sampled_from(["Ann", "ann", "Änn", "Anna Lee", "Bo", "李", ""])
PEOPLE = st.builds(
    lambda place, first, last: person(place, first or "X", last),
    st.integers(0, 5),
    NAMES,
    NAMES,
)


class StoreMachine(RuleBasedStateMachine):
    """A store in a file beside its model."""

    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.loop = asyncio.new_event_loop()
        self.database = sqlite(str(Path(self.folder.name) / "book.sqlite3"))
        self.loop.run_until_complete(migrate(self.database.writers))
        self.store = SqlStore(self.database, timeout=lambda: 20.0)
        self.model: dict[str, Contact] = {}

    def teardown(self) -> None:
        self.loop.run_until_complete(self.database.close())
        self.loop.close()
        self.folder.cleanup()

    def outcome(self, work: Any) -> Any:
        try:
            return self.loop.run_until_complete(work)
        except (Conflict, Duplicate, NotFound) as error:
            return type(error)

    def holder(self, number: str) -> str | None:
        held = (k for k, each in self.model.items() if each.fields.number == number)
        return next(held, None)

    @rule(target=ids, fields=PEOPLE)
    def add(self, fields):
        taken = self.holder(fields.number)
        found = self.outcome(self.store.add(fields))
        if taken:
            assert found is Duplicate
            return multiple()
        assert found.contact.fields == fields
        self.model[found.contact.id] = found.contact
        return found.contact.id

    @rule(contact=ids, fields=PEOPLE, version=st.none() | st.integers(1, 3))
    def replace(self, contact, fields, version):
        before = self.model.get(contact)
        found = self.outcome(self.store.replace(contact, fields, version=version))
        if before is None:
            assert found is NotFound
        elif version not in (None, before.version):
            assert found is Conflict
        elif self.holder(fields.number) not in (None, contact):
            assert found is Duplicate
        else:
            assert (found.fields, found.version) == (fields, before.version + 1)
            self.model[contact] = found

    @rule(contact=consumes(ids), version=st.none() | st.integers(1, 3))
    def delete(self, contact, version):
        before = self.model[contact]
        found = self.outcome(self.store.delete(contact, version=version))
        if version not in (None, before.version):
            assert found is Conflict
            version = None
            assert self.outcome(self.store.delete(contact)) is None
        else:
            assert found is None
        del self.model[contact]
        assert self.outcome(self.store.delete(contact)) is NotFound

    @rule(
        terms=st.lists(st.sampled_from(["a", "an", "ann", "l", "x", "李"]), max_size=2)
    )
    def search(self, terms):
        found = self.outcome(self.store.find(Query(terms=tuple(terms), limit=100)))
        wanted = {
            key
            for key, each in self.model.items()
            if all(
                any(word.startswith(term) for word in words_of(each)) for term in terms
            )
        }
        assert [each.id for each in found.contacts] == list(
            dict.fromkeys(each.id for each in found.contacts)
        )
        assert {each.id for each in found.contacts} == wanted

    @invariant()
    def all_are_there_in_order(self):
        page = self.outcome(self.store.find(Query(limit=100)))
        expected = sorted(self.model.values(), key=lambda e: (key_of(e), e.id))
        assert list(page.contacts) == expected


def words_of(contact: Contact) -> list[str]:
    return words(contact.fields.last_name, contact.fields.first_name)


def key_of(contact: Contact) -> str:
    return sort_key(contact.fields.last_name, contact.fields.first_name)


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(
    max_examples=15, stateful_step_count=15, deadline=None
)
