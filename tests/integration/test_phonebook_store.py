"""The phone book's port: the same answers from SQLite and from a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from service.phonebook.folding import words
from service.phonebook.model import Contact, contact_fields
from service.phonebook.queries import page_of
from service.phonebook.sql_store import SqlStore
from service.phonebook.store import (
    Conflict,
    Duplicate,
    NotFound,
    OnceKey,
    OtherRequest,
    Query,
)
from tests.support.phonebook import number, opened, person
from tests.support.postgresql import postgresql_server


@pytest.fixture(scope="module")
def server():
    with postgresql_server() as found:
        yield found


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request, tmp_path, server) -> AsyncIterator[SqlStore]:
    if request.param == "postgresql" and server is None:
        pytest.skip("PostgreSQL is not installed")
    async with opened(tmp_path if request.param == "sqlite" else server) as found:
        yield found


async def pages(store: SqlStore, limit: int, **query: object) -> list[Contact]:
    """All contacts of a query, page by page."""
    found: list[Contact] = []
    after: tuple[str, ...] = ()
    while True:
        page = await store.find(Query(**query, after=after, limit=limit))
        assert len(page.contacts) <= limit
        found += page.contacts
        if not page.last:
            return found
        after = page.last


def first_names(contacts: list[Contact]) -> list[str]:
    return [each.fields.first_name for each in contacts]


async def search(store: SqlStore, text: str, limit: int = 2) -> list[str]:
    return first_names(await pages(store, limit, terms=tuple(words(text))))


async def test_added_contact_is_there_as_it_was_given(store):
    """What was added comes back whole, with version 1."""
    fields = contact_fields(
        first_name="Zoë 张", last_name="Müller", number="+49 30 901820",
        email="zoe@example.org", note="two\nlines",
    )  # fmt: skip
    added = await store.add(fields)

    assert await store.get(added.contact.id) == added.contact
    assert added.contact.fields == fields
    assert (added.contact.version, added.replayed) == (1, False)
    assert await store.count() == 1


async def test_taken_number_is_refused_and_nothing_changes(store):
    """A second contact with a number is a duplicate."""
    await store.add(person(1))

    with pytest.raises(Duplicate):
        await store.add(person(1, "Bob"))
    assert await search(store, "bob") == []
    assert await store.count() == 1


async def test_equal_numbers_at_once_one_is_added(store):
    """Of many who add the same number at once one gets through."""
    results = await asyncio.gather(
        *(store.add(person(1, f"N{n}")) for n in range(8)), return_exceptions=True
    )

    assert sum(isinstance(each, Duplicate) for each in results) == 7
    assert await store.count() == 1


async def test_replaced_contact_is_found_by_its_new_name_alone(store):
    """The words of a search follow the change."""
    added = (await store.add(person(1, "Ann"))).contact
    changed = await store.replace(added.id, person(2, "Bea"), version=1)

    assert changed == await store.get(added.id)
    assert (changed.version, changed.created_at) == (2, added.created_at)
    assert await search(store, "ann") == []
    assert await search(store, "bea") == ["Bea"]


async def test_other_version_is_not_changed(store):
    """A change that was meant for another version is refused."""
    added = (await store.add(person(1))).contact

    with pytest.raises(Conflict):
        await store.replace(added.id, person(1, "Bea"), version=2)
    with pytest.raises(Conflict):
        await store.delete(added.id, version=7)
    assert await store.get(added.id) == added


async def test_changes_of_one_version_at_once_one_gets_through(store):
    """No update is lost: of many changes of one version one is taken."""
    added = (await store.add(person(1))).contact
    results = await asyncio.gather(
        *(store.replace(added.id, person(1, f"N{n}"), version=1) for n in range(8)),
        return_exceptions=True,
    )

    assert sum(isinstance(each, Conflict) for each in results) == 7
    assert (await store.get(added.id)).version == 2


async def test_number_of_another_contact_is_refused_in_a_change(store):
    """A change to a taken number is a duplicate, and leaves all as it was."""
    await store.add(person(1))
    added = (await store.add(person(2, "Bea"))).contact

    with pytest.raises(Duplicate):
        await store.replace(added.id, person(1, "Zed"))
    assert await store.get(added.id) == added
    assert await search(store, "zed") == []


async def test_deleted_contact_is_gone(store):
    """Neither its id nor its words find it, and its number is free."""
    added = (await store.add(person(1))).contact
    await store.delete(added.id, version=1)

    with pytest.raises(NotFound):
        await store.get(added.id)
    with pytest.raises(NotFound):
        await store.delete(added.id)
    with pytest.raises(NotFound):
        await store.replace(added.id, person(1))
    assert await search(store, "ann") == []
    await store.add(person(1))


async def test_same_key_again_is_answered_as_before(store):
    """The second request with a key does nothing, whatever became of the contact."""
    once = OnceKey(key="k", fingerprint="f", ttl=60)
    first = await store.add(person(1), once=once)
    await store.replace(first.contact.id, person(1, "Bea"))
    second = await store.add(person(1), once=once)

    assert (first.replayed, second.replayed) == (False, True)
    assert second.contact == first.contact
    with pytest.raises(OtherRequest):
        await store.add(person(2), once=OnceKey(key="k", fingerprint="g", ttl=60))


async def test_same_key_at_once_is_done_once(store):
    """Requests with one key that come together make one contact."""
    once = OnceKey(key="k", fingerprint="f", ttl=60)
    results = await asyncio.gather(*(store.add(person(1), once=once) for _ in range(8)))

    assert len({each.contact.id for each in results}) == 1
    assert sum(each.replayed for each in results) == 7
    assert await store.count() == 1


async def test_key_of_a_failure_is_free(store):
    """A request that failed leaves no trace of its key."""
    await store.add(person(1))
    once = OnceKey(key="k", fingerprint="f", ttl=60)
    with pytest.raises(Duplicate):
        await store.add(person(1), once=once)

    again = OnceKey(key="k", fingerprint="g", ttl=60)
    assert not (await store.add(person(2), once=again)).replayed


async def test_outdated_key_does_its_work_again(store):
    """A key is forgotten after its time."""
    first = await store.add(person(1), once=OnceKey(key="k", fingerprint="f", ttl=0))
    second = await store.add(person(2), once=OnceKey(key="k", fingerprint="g", ttl=0))

    assert not second.replayed
    assert first.contact.id != second.contact.id


async def test_batch_leaves_out_taken_numbers(store):
    """Those that are there, and those that come twice, are told."""
    await store.add(person(2))
    batch = [person(3), person(2), person(1), person(3, "Again")]

    assert await store.add_all(batch) == [True, False, True, False]
    assert await store.add_all([]) == []
    assert await store.count() == 3
    assert await search(store, "again") == []


@pytest.mark.parametrize("sort", ["name", "created", "number"])
async def test_pages_hold_each_contact_once_in_order(store, sort):
    """Whatever the size of a page, all come once; backwards is the reverse."""
    names = ["Émile", "ann", "Ann", "Zoë", "张", "Ö", "bob"]
    for place, name in enumerate(names):
        await store.add(person(50 - place, name, ""))
    whole = await pages(store, 100, sort=sort)

    assert len(whole) == len(names)
    for limit in (1, 2, 3, 7):
        assert await pages(store, limit, sort=sort) == whole
        assert await pages(store, limit, sort=f"-{sort}") == whole[::-1]


async def test_names_sort_without_case_and_accents(store):
    """Last name first; accents and case make no difference."""
    for place, (first, last) in enumerate(
        [("Bo", "Élan"), ("Al", "elan"), ("Cy", "Eland"), ("Di", "")]
    ):
        await store.add(person(place, first, last))

    assert first_names(await pages(store, 10)) == ["Di", "Al", "Bo", "Cy"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("mul", ["Ann", "Müll"], id="accent"),
        pytest.param("MÜLLER", ["Ann"], id="case"),
        pytest.param("ann mü", ["Ann"], id="two-words"),
        pytest.param("nn", [], id="inside"),
        pytest.param("muller mull", ["Ann"], id="one-word-for-two"),
        pytest.param("brien", ["O'Brien"], id="after-an-apostrophe"),
        pytest.param("김", ["김철수"], id="hangul"),
        pytest.param("ㄱ", [], id="compatibility-jamo"),
        pytest.param("हिन", ["हिन्दी"], id="devanagari"),
        pytest.param("%", None, id="no-word"),
    ],
)
async def test_search_finds_beginnings_of_words(store, text, found):
    """A search compares beginnings of words, whatever the script."""
    everybody = [("Ann", "Müller"), ("Müll", "Mullah-Mulder"), ("O'Brien", ""),
                 ("김철수", ""), ("हिन्दी", ""), ("Bob", "Ross")]  # fmt: skip
    for place, (first, last) in enumerate(everybody):
        await store.add(person(place, first, last))
    if text == "mul":
        found = ["Müll", "Ann"]  # by the word that was found: mulder, muller
    if text == "ㄱ":
        found = ["김철수"]
    if found is None:
        assert words(text) == []
        return

    assert await search(store, text) == found
    assert await search(store, text, limit=1) == found


async def test_numbers_are_found_by_their_beginning(store):
    """Exact numbers find one, beginnings those that have it, in order."""
    for place in (12, 1, 2, 19, 30):
        await store.add(person(place, f"N{place}"))
    prefix = number(1)[:-1]
    found = await pages(store, 2, number=prefix[:-1] + "1", is_prefix=True)

    assert first_names(found) == ["N12", "N19"]
    assert first_names(await pages(store, 2, number=number(2))) == ["N2"]
    assert await pages(store, 2, number=prefix) == []
    both = {"terms": ("n",), "number": prefix, "is_prefix": True}
    assert first_names(await pages(store, 1, **both)) == ["N1", "N2"]


async def plan_of(store: SqlStore, query: Query) -> str:
    """How the database would answer, once it knows its tables."""
    statement, values, _ = page_of(query)
    engine = store._database.writers
    explain = {"sqlite": "EXPLAIN QUERY PLAN", "postgresql": "EXPLAIN"}
    how = {"dialect": engine.dialect, "compile_kwargs": {"literal_binds": True}}
    compiled = statement.params(values).compile(**how)
    question = f"{explain[engine.dialect.name]} {compiled}"
    async with engine.begin() as connection:
        await connection.exec_driver_sql("ANALYZE")
        return str((await connection.exec_driver_sql(question)).all())


async def test_broad_search_reads_its_page_alone(store):
    """Neither database sorts what it finds: the index gives the order."""
    for begin in range(0, 4000, 500):
        await store.add_all([person(begin + n, f"A{n}") for n in range(500)])
    plan = await plan_of(store, Query(terms=("a",), limit=20))

    assert "contact_words" in plan
    assert "Sort" not in plan
    assert "LAST 2 TERMS" not in plan
    assert "SCAN contacts" not in plan
    assert "Seq Scan" not in plan
    for query in (
        Query(number=number(2000)),
        Query(number=number(2000)[:-2], is_prefix=True, limit=20),
    ):
        plan = await plan_of(store, query)
        assert "contacts_number" in plan
        assert "SCAN contacts" not in plan
        assert "Seq Scan" not in plan


async def test_longest_names_of_expanding_letters_are_kept(store):
    """Letters that become eighteen when folded don't break an index."""
    fields = person(1, "\ufdfa" * 100, "\ufdfa" * 50)
    added = await store.add(fields)

    assert (await store.get(added.contact.id)).fields == fields


async def test_taken_numbers_are_told(store):
    """Those that contacts have, and no others."""
    await store.add(person(1))
    await store.add(person(2))

    assert await store.taken({number(1), number(3)}) == {number(1)}
    assert await store.taken(set()) == set()
