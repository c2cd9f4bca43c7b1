"""Changes of the phone book's schema: by many at once, cut, and beside old replicas."""

import asyncio
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager

import httpx2 as httpx
import psycopg
import pytest

from service.phonebook.databases import Database, postgresql, sqlite
from service.phonebook.migrating import check_schema, migrate
from service.phonebook.sql_store import SqlStore
from service.phonebook.store import Query, StoreUnavailable
from tests.support.phonebook import person, server_settings
from tests.support.phonebook_migrate import Place, expanded, migrating
from tests.support.postgresql import postgresql_server
from tests.support.process import ServiceProcess, serving
from tests.support.waiting import until

CONTACTS = "/api/v1/contacts"
CHANGED = "phonebook_schema_changed"


@pytest.fixture(scope="module")
def server():
    with postgresql_server() as found:
        yield found


class Book:
    """An empty database, as processes and as the test reach it."""

    def __init__(self, place: Place, flags: dict[str, object], database) -> None:
        self.place = place
        self.flags = {"phonebook__enabled": True, **flags, "throttle__enabled": False}
        self._database = database

    @asynccontextmanager
    async def reached(self):
        """Open it, as it is."""
        database: Database = self._database()
        try:
            yield database
        finally:
            await database.close()

    def run(self, work) -> object:
        """Return what *work* gives for the database."""

        async def run():
            async with self.reached() as database:
                return await work(database)

        return asyncio.run(run())


@pytest.fixture(params=["sqlite", "postgresql"])
def book(request, tmp_path, server) -> Book:
    if request.param == "sqlite":
        path = str(tmp_path / "book.sqlite3")
        flags = {"phonebook__sqlite_path": path}
        return Book(("sqlite", path), flags, lambda: sqlite(path))
    if server is None:
        pytest.skip("PostgreSQL is not installed")
    return on_server(server)


@pytest.fixture
def served(server) -> Book:
    if server is None:
        pytest.skip("PostgreSQL is not installed")
    return on_server(server)


def on_server(server) -> Book:
    name = f"book_{os.urandom(4).hex()}"
    server.create(name)
    settings = server_settings(server, name)
    chosen = settings.model_dump(exclude_unset=True)
    flags = {f"phonebook__postgresql__{k}": v for k, v in chosen.items()}
    flags["phonebook__store"] = "postgresql"
    place = ("postgresql", settings.model_dump_json(exclude={"password", "url"}))
    return Book(place, flags, lambda: postgresql(lambda: settings))


async def filled(database: Database) -> None:
    """Bring an empty database to this release, with a contact."""
    await migrate(database.writers)
    await SqlStore(database, timeout=lambda: 20.0).add(person(1))


async def kept(database: Database) -> int:
    """Return how many contacts there are, after one more was added and changed."""
    store = SqlStore(database, timeout=lambda: 20.0)
    added = await store.add(person(1000 + await store.count(), "New"))
    await store.replace(added.contact.id, person(9_000_000, "Newer"), version=1)
    await store.delete(added.contact.id)
    return await store.count()


def ended(processes) -> list[str]:
    """Return what the processes told; each must have got through."""
    told = [each.communicate(timeout=60) for each in processes]
    for each, (_, errors) in zip(processes, told, strict=True):
        assert (each.returncode, errors) == (0, "")
    return [word for output, _ in told for word in output.split()]


def readyz(service: ServiceProcess) -> dict:
    return httpx.get(f"{service.admin_url}/readyz?verbose").json()


def is_ready(service: ServiceProcess) -> bool:
    return readyz(service)["status"] == "ok"


def test_replicas_that_start_at_once_make_the_schema_once(served):
    """Two services meet an empty database: one changes it, both work."""
    start_at_once(served, 2)


@pytest.mark.soak
def test_five_replicas_that_start_at_once_make_the_schema_once(book):
    """The same with five, and with SQLite."""
    start_at_once(book, 5)


def start_at_once(book: Book, count: int) -> None:
    with ExitStack() as stack:
        starts = [serving(**book.flags) for _ in range(count)]
        tasks = [asyncio.to_thread(stack.enter_context, each) for each in starts]

        async def start():
            return await asyncio.gather(*tasks)

        services = asyncio.run(start())
        for place, each in enumerate(services):
            until(lambda: is_ready(each))  # noqa: B023 - asked here
            values = {"first_name": "N", "number": f"+4930901{place:03}"}
            assert httpx.post(each.url + CONTACTS, json=values).status_code == 201
        changed = [len(each.events(CHANGED)) for each in services]

    assert sorted(changed) == [0] * (count - 1) + [1]


@pytest.mark.parametrize("count", [2, pytest.param(5, marks=pytest.mark.soak)])
def test_empty_database_gets_its_schema_once_from_many(book, count):
    """All who migrate at the same moment get through; one has changed it."""
    assert ended(migrating(book.place, count=count)) == [CHANGED]
    assert book.run(kept) == 0


@pytest.mark.parametrize("count", [2, pytest.param(5, marks=pytest.mark.soak)])
def test_old_schema_is_changed_once_by_many_at_once(book, tmp_path, count):
    """A database of the release before is changed by one; the others wait for it."""
    book.run(filled)
    told = ended(migrating(book.place, expanded(tmp_path), count=count))

    assert told.count("changing") == told.count(CHANGED) == 1
    assert book.run(kept) == 1


def test_change_that_is_killed_leaves_the_old_schema(book, tmp_path):
    """A change is whole or not there; the next one who comes makes it."""
    book.run(filled)
    wait = tmp_path / "wait"
    wait.touch()
    scripts = expanded(tmp_path, wait=wait)
    (process,) = migrating(book.place, scripts)
    assert process.stdout.readline() == "changing\n"
    process.kill()
    process.communicate()

    book.run(lambda database: check_schema(database.checker))  # the old one
    assert book.run(kept) == 1
    wait.unlink()
    assert CHANGED in ended(migrating(book.place, scripts))
    assert book.run(kept) == 1


def test_old_replica_works_on_while_and_after_the_schema_grows(book, tmp_path):
    """During a rolling update no write of the old code fails, and none is lost."""
    book.run(filled)
    scripts = expanded(tmp_path)

    async def write(database: Database) -> tuple[set[str], set[str]]:
        store = SqlStore(database, timeout=lambda: 20.0)
        processes = await asyncio.to_thread(migrating, book.place, scripts, count=2)
        over = asyncio.create_task(asyncio.to_thread(ended, processes))
        told = set()
        for place in itertools.count(2):
            told.add((await store.add(person(place))).contact.id)
            if over.done() and place > 50:
                break
        assert (await over).count(CHANGED) == 1
        page = await store.find(Query(limit=100_000))
        return told, {each.id for each in page.contacts if each.fields != person(1)}

    told, found = book.run(write)

    assert told == found
    with serving(**book.flags) as service:  # an old replica starts once more
        assert is_ready(service)
        assert service.events("phonebook_schema_is_newer")
        assert httpx.get(f"{service.url}{CONTACTS}?q=ann").status_code == 200


def test_schema_of_a_later_era_is_refused(book, tmp_path):
    """What this code reads may be gone: it is not ready, says why, and answers 503."""
    book.run(filled)
    scripts = expanded(tmp_path, revision="2.0002")

    async def migrated(database: Database) -> None:
        with pytest.raises(StoreUnavailable, match="too new"):
            await migrate(database.writers)

    told = ended(migrating(book.place, scripts))
    book.run(migrated)
    with serving(**book.flags) as service:
        answer = httpx.get(service.url + CONTACTS)
        why = readyz(service)["checks"]["phonebook"]

    assert CHANGED in told
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "its schema 2.0002 is too new" in why


def test_service_that_may_not_migrate_waits_for_the_command(book):
    """With `migrate: false` it becomes ready once `phonebook migrate` ran."""
    with serving(**book.flags, phonebook__migrate=False) as service:
        assert "older than this version" in readyz(service)["checks"]["phonebook"]
        assert httpx.get(service.url + CONTACTS).status_code == 503
        settings = [f"{k.replace('__', '.')}={v}" for k, v in book.flags.items()]
        flags = [part for each in settings for part in ("--set", each)]
        command = [sys.executable, "-m", "service", "phonebook", "migrate", *flags]
        subprocess.run(command, check=True, timeout=60, capture_output=True)
        until(lambda: is_ready(service))

        assert httpx.get(service.url + CONTACTS).status_code == 200
    assert not service.events(CHANGED)


@contextmanager
def locked(book: Book) -> Iterator[None]:
    """Hold the lock of those who migrate, as one does whose change takes long."""
    where = book.flags
    with psycopg.connect(
        host="127.0.0.1", user="phonebook",
        port=where["phonebook__postgresql__port"],
        dbname=where["phonebook__postgresql__database"],
    ) as connection:  # fmt: skip
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [0x70686F6E6562])
        yield


def test_start_does_not_wait_for_a_long_change_of_another(served):
    """It comes up unready within seconds, and is ready once the change is over."""
    flags = {**served.flags, "phonebook__postgresql__statement_timeout": 1}
    with ExitStack() as stack:
        with locked(served):
            service = stack.enter_context(serving(**flags))
            assert not is_ready(service)
            assert httpx.get(service.admin_url + "/livez").status_code == 200
            assert httpx.get(service.url + CONTACTS).status_code == 503
        until(lambda: is_ready(service))

        assert httpx.get(service.url + CONTACTS).status_code == 200
