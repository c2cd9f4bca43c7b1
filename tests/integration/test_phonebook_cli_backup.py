"""`httpserver phonebook backup` and `restore`, on SQLite and on a real PostgreSQL."""

import asyncio
import itertools
import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psycopg
import pytest
from typer.testing import CliRunner, Result

from service.cli import app
from service.phonebook.databases import Database, postgresql, sqlite
from service.phonebook.migrating import migrate
from service.phonebook.model import Contact
from service.phonebook.sql_store import SqlStore
from service.phonebook.store import OnceKey, Query
from tests.support.phonebook import number, person, server_settings
from tests.support.postgresql import PostgresqlServer, postgresql_server
from tests.support.terminal import on_terminal
from tests.support.waiting import until

T = TypeVar("T")

ONCE = OnceKey(key="one", fingerprint="f", ttl=3600)
ENGINES = ("sqlite", "postgresql")
_NAMES = itertools.count(1)


@dataclass
class Place:
    """A database of its own, and the options that lead a command to it."""

    options: list[str]
    make: Callable[[], Database]
    is_locked: Callable[[], bool]

    def run(self, work: Callable[[SqlStore], Awaitable[T]]) -> T:
        """Do something to its store."""

        async def opened() -> T:
            database = self.make()
            try:
                await migrate(database.writers)
                return await work(SqlStore(database, timeout=lambda: 20.0))
            finally:
                await database.close()

        return asyncio.run(opened())

    def contacts(self) -> list[Contact]:
        return self.run(everybody)

    def fill(self, first: int, last: int) -> list[Contact]:
        """Add people, one of them with an idempotency key; return all."""

        async def work(store: SqlStore) -> list[Contact]:
            await store.add(person(first, "Eva", "Müller"), once=ONCE)
            await store.add_all([person(n) for n in range(first + 1, last)])
            return await everybody(store)

        return self.run(work)


async def everybody(store: SqlStore) -> list[Contact]:
    found: list[Contact] = []
    after: tuple[str, ...] = ()
    while True:
        page = await store.find(Query(sort="number", limit=500, after=after))
        found += page.contacts
        if not page.last:
            return found
        after = page.last


def in_a_file(folder: Path) -> Place:
    path = folder / f"{next(_NAMES)}.sqlite3"

    def is_locked() -> bool:
        connection = sqlite3.connect(path, timeout=0, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
        finally:
            connection.close()
        return False

    options = ["--set", f"phonebook.sqlite_path={path}"]
    return Place(options, lambda: sqlite(str(path)), is_locked)


def on(server: PostgresqlServer | None) -> Place:
    if server is None:
        pytest.skip("PostgreSQL is not installed")
    name = f"backup_{next(_NAMES)}"
    server.create(name)
    settings = server_settings(server, name)
    told = {"host": "127.0.0.1", "port": server.port, "database": name, "tls": "disable"}  # fmt: skip  # noqa: E501 - one mapping
    options = ["--set", "phonebook.store=postgresql"]
    for key, value in told.items():
        options += ["--set", f"phonebook.postgresql.{key}={value}"]
    where = f"host=127.0.0.1 port={server.port} user=phonebook dbname={name}"

    def is_locked() -> bool:
        asked = "SELECT count(*) FROM pg_locks WHERE mode = 'ExclusiveLock' AND granted AND relation = 'contacts'::regclass"  # noqa: E501 - one question
        with psycopg.connect(where) as connection:
            row = connection.execute(asked).fetchone()
        return row is not None and row[0] > 0

    return Place(options, lambda: postgresql(lambda: settings), is_locked)


@pytest.fixture(scope="module")
def server():
    with postgresql_server() as found:
        yield found


@pytest.fixture
def make(tmp_path, server) -> Callable[[str], Place]:
    """Makes an empty database of an engine."""
    return lambda engine: in_a_file(tmp_path) if engine == "sqlite" else on(server)


def run(*arguments: str, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(app, ["phonebook", *arguments], input=stdin)


def backed_up(place: Place, file: Path) -> bytes:
    done = run("backup", str(file), *place.options)
    assert (done.exit_code, done.stderr) == (0, "")
    return file.read_bytes()


@pytest.mark.parametrize("source", ENGINES)
@pytest.mark.parametrize("target", ENGINES)
def test_restored_contacts_are_what_was_backed_up(make, tmp_path, source, target):
    """Ids, versions and times too, in whatever database; found by name, and keys."""
    old, new = make(source), make(target)
    before = old.fill(0, 1234)
    file = tmp_path / "backup"
    content = backed_up(old, file)
    done = run("restore", str(file), *new.options)

    assert (done.exit_code, done.stdout) == (0, "1234 contacts were restored.\n")
    assert new.contacts() == before
    assert file.stat().st_mode & 0o777 == 0o600
    found = new.run(lambda store: store.find(Query(terms=("mul",))))
    assert [each.fields.number for each in found.contacts] == [number(0)]
    again = new.run(lambda store: store.add(person(0, "Eva", "Müller"), once=ONCE))
    assert again.replayed
    # the same but for the moment, whatever the database
    other = backed_up(new, tmp_path / "other").split(b"\n")
    assert other[1:-2] == content.split(b"\n")[1:-2]


def test_pipes_with_names_are_written_and_read(make):
    """As `/dev/stdout`, or a shell's `<(…)`: nothing but the backup is in them."""
    old, new = make("sqlite"), make("sqlite")
    wanted = old.fill(0, 3)
    command = [sys.executable, "-m", "service", "phonebook"]
    content = subprocess.check_output([*command, "backup", "/dev/stdout", *old.options])
    told = subprocess.check_output(
        [*command, "restore", "/dev/stdin", *new.options], input=content
    )

    assert told == b"3 contacts were restored.\n"
    assert new.contacts() == wanted


@pytest.mark.parametrize("engine", ENGINES)
def test_contacts_that_are_there_go_only_when_asked(make, tmp_path, engine):
    """Without `--replace` nothing changes."""
    old, new = make("sqlite"), make(engine)
    wanted, there = old.fill(0, 700), new.fill(100, 1500)
    file = tmp_path / "backup"
    backed_up(old, file)
    refused = run("restore", str(file), *new.options)

    assert refused.exit_code == 1
    assert "--replace" in refused.stderr
    assert new.contacts() == there
    assert run("restore", str(file), "--replace", *new.options).exit_code == 0
    assert new.contacts() == wanted


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("way", ["file", "stream"])
def test_broken_backup_changes_nothing(make, tmp_path, engine, way):
    """Cut anywhere, altered anywhere, with more behind it, or something else."""
    place = make(engine)
    there = place.fill(0, 600)
    good = backed_up(place, tmp_path / "good")
    head, _, rest = good.partition(b"\n")
    twice = json.loads(rest.partition(b"\n")[0])
    broken = {
        "empty": b"",
        "no end": good[:-1],
        "no checksum": good[: good.rindex(b"{")],
        "half": good[: len(good) // 2],
        "altered": good.replace(b"Ann", b"Bob", 1),
        "line gone": head + b"\n" + rest.partition(b"\n")[2],
        "two": good + good,
        "newer": good.replace(b'"version":1', b'"version":2', 1),
        "more": good.replace(b'"id"', b'"x":1,"id"', 1),
        "other": b'{"first_name": "Ann"}\n',
        "binary": b"\xff\x00" * 100,
        "long": b"x" * 1_000_000,
    }
    assert twice["version"] == 1
    for name, content in broken.items():
        file = tmp_path / "broken"
        file.write_bytes(content)
        stream = content if way == "stream" else b""
        what = "-" if way == "stream" else str(file)
        done = run("restore", what, "--replace", *place.options, stdin=stream)
        assert done.exit_code == 1, name
        assert "can't be restored" in done.stderr, name
        assert "Nothing was changed" in done.stderr, name
    assert place.contacts() == there


@pytest.mark.parametrize("engine", ENGINES)
def test_backup_holds_one_moment_while_others_write(make, tmp_path, engine):
    """All up to some contact, and none after it."""
    place = make(engine)
    place.fill(0, 2000)
    written, stop = [1999], threading.Event()

    def write() -> None:
        async def work(store: SqlStore) -> None:
            while not stop.is_set():
                await store.add(person(written[-1] + 1))
                written.append(written[-1] + 1)

        place.run(work)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        until(lambda: len(written) >= 5)
        least = written[-1]
        content = backed_up(place, tmp_path / "backup")
        most = written[-1] + 1
    finally:
        stop.set()
        thread.join()
    lines = [json.loads(line) for line in content.splitlines()]
    numbers = [line["fields"]["number"] for line in lines if "fields" in line]

    assert least < len(numbers) <= most + 1
    assert numbers == [number(n) for n in range(len(numbers))]
    assert lines[0]["contacts"] == len(numbers)


@pytest.mark.parametrize("engine", ENGINES)
def test_killed_restore_leaves_what_was_there(make, tmp_path, engine):
    """kill -9 in the middle; the next one is whole."""
    old, place = make("sqlite"), make(engine)
    wanted, there = old.fill(0, 3000), place.fill(5000, 5700)
    content = backed_up(old, tmp_path / "backup")
    command = [sys.executable, "-m", "service", "phonebook", "restore", "-"]
    process = subprocess.Popen(
        [*command, "--replace", *place.options], stdin=subprocess.PIPE, stderr=2
    )
    try:
        assert process.stdin is not None
        process.stdin.write(content[: len(content) * 2 // 3])
        process.stdin.flush()
        until(lambda: place.is_locked() or process.poll() is not None)
        assert process.poll() is None
        process.kill()
    finally:
        process.kill()
        process.communicate()

    assert place.contacts() == there
    done = run("restore", "-", "--replace", *place.options, stdin=content)
    assert done.exit_code == 0
    assert place.contacts() == wanted


def test_what_is_no_phone_book_is_told(tmp_path):
    """No database, another one, no folder, no server: a line each, nothing made."""
    other = tmp_path / "other.sqlite3"
    sqlite3.connect(other).execute("CREATE TABLE x (y)").connection.close()
    out = str(tmp_path / "out")
    none = ["--set", "phonebook.store=postgresql", "--set", "phonebook.postgresql.port=1"]  # fmt: skip  # noqa: E501 - one list

    def at(path: object) -> list[str]:
        return ["--set", f"phonebook.sqlite_path={path}"]

    cases = [
        (1, "there is no database", ["backup", out, *at(out)]),
        (1, "has no phone book", ["backup", out, *at(other)]),
        (1, "store is away", ["backup", out, *none]),
        (2, "no such file", ["backup", f"{out}/x", *at(other)]),
        (2, "is a directory", ["restore", str(tmp_path)]),
        (2, "no such file", ["restore", out]),
    ]
    for code, told, arguments in cases:
        done = run(*arguments)
        assert done.exit_code == code, told
        assert told.lower() in done.stderr.lower()
        assert len(done.stderr.splitlines()) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["other.sqlite3"]


def test_terminal_sees_how_far_it_is(tmp_path):
    """A bar on standard error; standard output is never a terminal's for a backup."""
    place = in_a_file(tmp_path)
    place.fill(0, 600)
    with on_terminal("phonebook", "backup", str(tmp_path / "b"), *place.options) as one:
        assert one.await_exit() == 0
    with on_terminal("phonebook", "backup", "-", *place.options) as other:
        assert other.await_exit() == 2

    assert "━" in one.shown
    assert "600/600" in one.shown
    assert "name a file" in other.shown
    assert os.fsencode("Eva") not in other.shown.encode()
