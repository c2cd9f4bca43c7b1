"""The phone book when its store is away, hangs, is full, or comes back."""

import asyncio
import json
import os
import signal
import threading
import time
from pathlib import Path

import httpx2 as httpx
import pytest
from sqlalchemy import event

from service.app import create_service
from service.config import SettingsStore
from service.phonebook.databases import Database, postgresql, sqlite, translated
from service.phonebook.migrating import migrate
from service.phonebook.sql_store import SqlStore
from service.phonebook.store import Query, StoreUnavailable
from service.settings import Settings
from tests.support.phonebook import number, opened, person, server_settings
from tests.support.phonebook_writers import Book, check_whole
from tests.support.postgresql import postgresql_server
from tests.support.process import serving
from tests.support.small_disk import grow, small_disk
from tests.support.waiting import fulfilled

CONTACTS = "/api/v1/contacts"
LIMIT = 60.0


@pytest.fixture
def server():
    with postgresql_server() as found:
        if found is None:
            pytest.skip("PostgreSQL is not installed")
        yield found


@pytest.mark.parametrize("how", ["fast", "immediate"])
async def test_restarted_server_loses_nothing_and_needs_no_restart(server, how):
    """Writers wait for a restart; what was acknowledged is there, once."""
    server.create("book")
    settings = server_settings(server, "book", pool_size=4)
    database = postgresql(lambda: settings)
    acknowledged: set[str] = set()
    over = asyncio.Event()

    async def write(store: SqlStore, first: int) -> None:
        place = first
        while not over.is_set():
            added = await store.add(person(place, f"N{place}"))
            acknowledged.add(added.contact.id)
            place += 4

    try:
        await migrate(database.writers)
        store = SqlStore(database, timeout=lambda: LIMIT)
        writers = [asyncio.create_task(write(store, n)) for n in range(4)]
        await fulfilled(lambda: len(acknowledged) > 50)
        await asyncio.to_thread(server.stop, how)
        await asyncio.to_thread(server.start)
        before = len(acknowledged)
        await fulfilled(lambda: len(acknowledged) > before + 50)
        over.set()
        await asyncio.gather(*writers)  # none of them has seen an error
        page = await store.find(Query(sort="created", limit=100_000))
    finally:
        await database.close()

    assert {each.id for each in page.contacts} == acknowledged


def poll(work, wanted) -> None:
    """Call *work* until it gives *wanted*."""
    deadline = time.monotonic() + LIMIT
    while (found := work()) != wanted:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def test_service_without_its_server_answers_503_and_recovers(server):
    """Ready or not follows the store; no answer is wrong while it is away."""
    server.create("book")
    server.stop()
    place = {"host": "127.0.0.1", "port": server.port, "tls": "disable"}
    others = {f"phonebook__postgresql__{k}": v for k, v in place.items()}
    wrong: list[object] = []
    acknowledged: list[str] = []
    over = threading.Event()
    chosen = {"phonebook__postgresql__database": "book", **others}
    command = {"phonebook__enabled": True, "phonebook__store": "postgresql", **chosen}
    # a service that is not ready yet can't be awaited: it is started with its server
    server.start()
    with serving(**command, phonebook__timeout=1, throttle__enabled=False) as service:

        def load() -> None:
            with httpx.Client(base_url=service.url, timeout=60) as client:
                for count in range(100_000):
                    if over.is_set():
                        return
                    values = {"first_name": "N", "number": number(count)}
                    answer = client.post(CONTACTS, json=values)
                    if answer.status_code == 201:
                        acknowledged.append(answer.json()["number"])
                    elif answer.status_code != 503 or "retry-after" not in answer.headers:  # fmt: skip  # noqa: E501 - one rule
                        wrong.append((answer.status_code, answer.text))

        def ready() -> int:
            return httpx.get(service.admin_url + "/readyz").status_code

        thread = threading.Thread(target=load)
        thread.start()
        poll(lambda: len(acknowledged) > 20, wanted=True)
        server.stop("immediate")
        poll(ready, wanted=503)
        assert httpx.get(f"{service.url}{CONTACTS}", timeout=60).status_code == 503
        server.start()
        poll(ready, wanted=200)
        before = len(acknowledged)
        poll(lambda: len(acknowledged) > before + 20, wanted=True)
        over.set()
        thread.join(LIMIT)
        text = httpx.get(f"{service.url}{CONTACTS}/export", timeout=60).text
    kept = [json.loads(line)["number"] for line in text.splitlines()]

    assert wrong == []
    assert {*acknowledged} <= {*kept}
    assert len(kept) == len({*kept})


def test_service_that_starts_before_its_server_comes_up_with_it(server):
    """A missing store stops no start: the service is not ready until it is there."""
    server.create("book")
    server.stop()
    chosen = server_settings(server, "book").model_dump(exclude={"password"})
    settings = {"enabled": True, "store": "postgresql", "postgresql": chosen}
    asyncio.run(started_first(server, settings))


async def started_first(server, section) -> None:
    store = SettingsStore.of(Settings.model_validate({"phonebook": section}))
    part = next(p for p in create_service(store).parts if p.name == "phonebook")
    await part.start()
    try:
        with pytest.raises(StoreUnavailable, match="not come up"):
            await part.check()
        await asyncio.to_thread(server.start)
        deadline = time.monotonic() + LIMIT
        while True:
            try:
                await part.check()
            except StoreUnavailable:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)
            else:
                break
        assert await part.count() == 0
    finally:
        await part.stop()


async def test_missing_folder_is_unavailable(tmp_path: Path):
    """A folder that is not there is an outage, not a crash."""
    threads = threading.active_count()
    database = sqlite(str(tmp_path / "none" / "book.sqlite3"))
    with pytest.raises(StoreUnavailable, match="unable to open"):
        with translated():
            await migrate(database.writers)
    await database.close()
    # the driver's thread tells this loop that it ends, and must find it open
    await fulfilled(lambda: threading.active_count() <= threads)


async def test_file_that_is_no_database_is_unavailable(tmp_path: Path):
    """It is told, left as it is, and asking again and again leaves nothing behind."""
    path = tmp_path / "book.sqlite3"
    path.write_text("Dear diary, " * 1000)
    threads = threading.active_count()
    database = sqlite(str(path))
    for _ in range(5):
        with pytest.raises(StoreUnavailable, match="NOTADB"):
            with translated():
                await migrate(database.writers)
    await database.close()

    assert path.read_text().startswith("Dear diary")
    await fulfilled(lambda: threading.active_count() <= threads)


async def test_file_that_may_not_be_written_is_still_read(tmp_path: Path):
    """Changes are refused as an outage; what is there is found."""
    async with opened(tmp_path) as store:
        added = (await store.add(person(1))).contact
        engine = store._database.writers
        await engine.dispose()

        @event.listens_for(engine.sync_engine, "connect")
        def forbid(connection, _record) -> None:
            connection.execute("PRAGMA query_only=1")

        with pytest.raises(StoreUnavailable, match="READONLY"):
            await store.add(person(2))
        with pytest.raises(StoreUnavailable, match="READONLY"):
            await store.delete(added.id)
        assert await store.get(added.id) == added


def test_full_disk_loses_nothing_and_is_over_when_there_is_room(tmp_path):
    """Writes get a 503, reads an answer; no restart is needed, nothing is half done."""
    path = tmp_path / "book.sqlite3"
    book = Book()
    with small_disk(tmp_path):
        flags = {"phonebook__enabled": True, "phonebook__sqlite_path": path}
        with serving(**flags, throttle__enabled=False) as service:
            with book.writing(service.url):
                poll(lambda: bool(book.refused), wanted=True)
            told = len(book.acknowledged)
            assert httpx.get(service.url + CONTACTS).status_code == 200
            grow(tmp_path)
            with book.writing(service.url):
                poll(lambda: len(book.acknowledged) > told + 20, wanted=True)
            book.send_again(service.url)

        assert book.wrong == []
        assert asyncio.run(whole(sqlite(str(path)), book)) >= len(book.acknowledged)


async def whole(database: Database, book: Book) -> int:
    """Check what is there; return how many contacts."""
    try:
        return await check_whole(SqlStore(database, timeout=lambda: 20.0), book)
    finally:
        await database.close()


def test_server_that_hangs_is_given_up_in_time(server):
    """Each request has an answer within its time, and all is well once it goes on."""
    server.create("book")
    settings = server_settings(server, "book", statement_timeout=2.0)
    chosen = settings.model_dump(exclude_unset=True)
    place = {f"phonebook__postgresql__{k}": v for k, v in chosen.items()}
    command = {"phonebook__enabled": True, "phonebook__store": "postgresql", **place}
    book = Book()
    with serving(**command, phonebook__timeout=1, throttle__enabled=False) as service:

        def ready() -> int:
            return httpx.get(service.admin_url + "/readyz", timeout=60).status_code

        with book.writing(service.url):
            poll(lambda: len(book.acknowledged) > 20, wanted=True)
            hung = server.processes()
            for pid in hung:
                os.kill(pid, signal.SIGSTOP)
            try:
                poll(ready, wanted=503)
                poll(lambda: len(book.refused) > 3, wanted=True)
            finally:
                for pid in hung:
                    os.kill(pid, signal.SIGCONT)
            poll(ready, wanted=200)
            before = len(book.acknowledged)
            poll(lambda: len(book.acknowledged) > before + 20, wanted=True)
        book.send_again(service.url)
    slowest = max(line["duration"] for line in service.events("request"))

    print(f"the slowest answer took {slowest:.1f} s")  # noqa: T201 - the figure
    assert slowest < 30
    assert asyncio.run(whole(postgresql(lambda: settings), book)) > 40
