"""The service, or its PostgreSQL, is killed while it writes: nothing told is lost."""

import asyncio
import os
import random
import signal
from pathlib import Path

import pytest

from service.phonebook.databases import postgresql, sqlite
from service.phonebook.sql_store import SqlStore
from tests.support.phonebook import server_settings
from tests.support.phonebook_writers import Book, check_whole
from tests.support.postgresql import PostgresqlServer, postgresql_server
from tests.support.process import serving
from tests.support.waiting import until

INSERTS = int(os.environ.get("INSERTS", "10000"))


@pytest.fixture(scope="module")
def server():
    with postgresql_server() as found:
        yield found


class Place:
    """Where the contacts are, for the service and for the test."""

    def __init__(self, where: PostgresqlServer | Path) -> None:
        common = {"enabled": True, "timeout": 5}
        if isinstance(where, Path):
            path = str(where / "book.sqlite3")
            self._open = lambda: sqlite(path)
            found = {"store": "sqlite", "sqlite_path": path}
        else:
            name = f"killed_{os.urandom(4).hex()}"
            where.create(name)
            settings = server_settings(where, name, pool_size=4)
            self._open = lambda: postgresql(lambda: settings)
            chosen = settings.model_dump(exclude_unset=True)
            found = {f"postgresql__{k}": v for k, v in chosen.items()}
            found["store"] = "postgresql"
        self.flags = {f"phonebook__{k}": v for k, v in (common | found).items()}

    def serving(self):
        """Run the service."""
        return serving(**self.flags, throttle__enabled=False)

    def check(self, book: Book) -> int:
        """Fail unless the contacts are whole; return how many there are."""

        async def check() -> int:
            database = self._open()
            try:
                store = SqlStore(database, timeout=lambda: 30.0)
                return await check_whole(store, book)
            finally:
                await database.close()

        return asyncio.run(check())


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path, server) -> Place:
    if request.param == "sqlite":
        return Place(tmp_path)
    if server is None:
        pytest.skip("PostgreSQL is not installed")
    return Place(server)


def killed_at_random(place: Place, *, inserts: int, most: int, seed: int) -> Book:
    """Write *inserts* contacts; kill the service after up to *most* of them each."""
    rng, book = random.Random(seed), Book()
    kills = 0
    while len(book.acknowledged) < inserts:
        with place.serving() as service, book.writing(service.url):
            wanted = len(book.acknowledged) + rng.randrange(most)
            until(lambda: len(book.acknowledged) >= wanted, limit=300)  # noqa: B023 - asked here
            service.signal(signal.SIGKILL)
            service.await_exit()
        kills += 1
    kept = place.check(book)
    told = len(book.acknowledged)
    print(f"{kills} kills, {told} acknowledged, {len(book.unknown)} unknown, {kept} kept")  # fmt: skip  # noqa: E501, T201 - the figures
    return book


def check_again(place: Place, book: Book) -> None:
    """What nobody knows is sent again with its keys: it is there once."""
    with place.serving() as service:
        again = book.send_again(service.url)

    assert {*book.acknowledged} >= again
    place.check(book)


def test_killed_service_keeps_every_acknowledged_contact(place):
    """Some kills at random moments: told is kept, unknown is whole or not there."""
    book = killed_at_random(place, inserts=60, most=100, seed=1)

    check_again(place, book)


def killed_servers(server: PostgresqlServer, *, kills: int, most: int) -> None:
    """Kill PostgreSQL while the service writes, and start it again, *kills* times."""
    place, rng, book = Place(server), random.Random(3), Book()
    with place.serving() as service:
        for _ in range(kills):
            with book.writing(service.url):
                wanted = len(book.acknowledged) + rng.randrange(1, most)
                until(lambda: len(book.acknowledged) >= wanted, limit=300)  # noqa: B023 - asked here
                server.kill()
                server.start()
                wanted = len(book.acknowledged) + rng.randrange(1, most)
                until(lambda: len(book.acknowledged) >= wanted, limit=300)  # noqa: B023 - asked here
        book.send_again(service.url)
    kept = place.check(book)
    print(f"{kills} kills, {len(book.acknowledged)} acknowledged, {kept} kept")  # noqa: T201 - the figures


def test_killed_postgresql_keeps_every_acknowledged_contact(server):
    """Its processes end by SIGKILL; the service works on with the one that follows."""
    if server is None:
        pytest.skip("PostgreSQL is not installed")
    killed_servers(server, kills=2, most=50)


@pytest.mark.soak
def test_postgresql_killed_again_and_again_keeps_every_acknowledged_contact(server):
    """The same for long."""
    if server is None:
        pytest.skip("PostgreSQL is not installed")
    killed_servers(server, kills=20, most=300)


@pytest.mark.soak
def test_service_killed_during_10000_inserts_keeps_every_acknowledged_contact(place):
    """The same for long; INSERTS changes how long."""
    book = killed_at_random(place, inserts=INSERTS, most=600, seed=2)

    check_again(place, book)
