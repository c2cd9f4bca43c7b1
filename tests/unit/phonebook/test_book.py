"""Changes of contacts: who comes between a reading and its writing."""

import asyncio
from dataclasses import replace

import pytest

from service.errors import RequestError
from service.phonebook.book import PhoneBook
from service.phonebook.model import Contact
from service.phonebook.store import Conflict
from service.settings import PhonebookSettings
from tests.support.phonebook import person
from tests.support.virtual_time import in_virtual_time


class Store:
    """
    One contact; all who read it at once have read it before one of them writes.

    Args:
        others: How often somebody else comes before a change.
    """

    def __init__(self, others: int = 0) -> None:
        fields = person(1)
        self.kept = Contact(
            id="x", version=1, created_at=1, updated_at=1, fields=fields
        )
        self._others = others

    async def get(self, _contact_id):
        found = self.kept
        await asyncio.sleep(0.01)
        return found

    async def replace(self, _contact_id, fields, *, version=None):
        if self._others:
            self._others -= 1
            self.kept = replace(self.kept, version=self.kept.version + 1)
        if version not in (None, self.kept.version):
            raise Conflict
        self.kept = replace(self.kept, fields=fields, version=self.kept.version + 1)
        return self.kept


def book(store: Store) -> PhoneBook:
    return PhoneBook(store, PhonebookSettings, user=lambda _ctx: "")


@pytest.mark.parametrize("replicas", [1, 12])
@in_virtual_time
async def test_patches_of_any_version_at_once_are_all_made(replicas):
    """None undoes another's, and none is refused."""
    store = Store()
    books = [book(store) for _ in range(replicas)]
    values = ({"note": "n"}, {"email": "a@b.de"}, {"last_name": "Müller"})

    await asyncio.gather(
        *(
            books[n % replicas].patch("x", values[n % 3], versions=None)
            for n in range(12)
        )
    )

    kept = store.kept.fields
    assert store.kept.version == 13
    assert (kept.note, kept.email, kept.last_name) == ("n", "a@b.de", "Müller")


@in_virtual_time
async def test_patches_of_any_version_have_their_turns():
    """However many follow each other, the first is not the last."""
    store = Store()
    found, done = book(store), []

    async def change(place: int) -> None:
        await found.patch("x", {"note": str(place)}, versions=None)
        done.append(place)

    await asyncio.gather(*map(change, range(100)))

    assert done == [*range(100)]


@in_virtual_time
async def test_patch_of_any_version_that_never_gets_through_is_to_come_again():
    """It is not told that it was meant for another version: it was for any."""
    with pytest.raises(RequestError) as caught:
        await book(Store(others=1000)).patch("x", {"note": "n"}, versions=None)

    assert caught.value.status == 503
    assert caught.value.headers == {"retry-after": "1"}


@in_virtual_time
async def test_patch_of_a_version_has_one_chance():
    """Whoever came before it made another version."""
    store = Store(others=1)
    with pytest.raises(RequestError) as caught:
        await book(store).patch("x", {"note": "n"}, versions=frozenset({1}))

    assert caught.value.status == 412
    assert store.kept.version == 2
