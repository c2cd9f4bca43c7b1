"""
The phone book at 1,000, 100,000 and 1,000,000 contacts: `wrk -t1 -c16` with random
keys, pages of 20 contacts, each server as one process. A commit waits for the disk
(`synchronous=FULL`). A number is looked up exactly or by its beginning, a name by its
beginning (`?q=`), in ours by any word of any name. Ours has everything on, checks and
normalises numbers, keeps idempotency keys and an index of words; the peers do not.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median

from tests.bench import contacts, wrk
from tests.bench.contestants import Contestant, available, go_program, ours, uvicorn
from tests.bench.processes import running
from tests.bench.tables import print_ratios, print_table, rounds, seconds, three
from tests.support.postgresql import PostgresqlServer, postgresql_server

__all__ = ["main"]

SIZES = (1_000, 100_000, 1_000_000)
KINDS = ("exact", "prefix", "name", "insert")
PATH = "/api/v1/contacts"
CONNECTIONS = 16
SECONDS = 4
SCRIPT = Path(__file__).parent / "contacts.lua"
COLUMNS = (
    "contacts",
    "server",
    "requests/s (min / median / max)",
    "p99 ms",
    "CPU ms per request",
    "failed",
)

SQLITE = "**httpserver, SQLite**"
POSTGRESQL = "**httpserver, PostgreSQL**"
FASTAPI = "FastAPI + SQLAlchemy, SQLite"
GO = "Go net/http + database/sql, SQLite"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One load; CPU in seconds per request, of the server without its database."""

    report: wrk.Report
    cpu: float


Round = dict[str, Measured]
Results = dict[Contestant, list[Round]]


def main() -> None:
    """Print a table for each kind of request, and the ratios that are asked for."""
    if not wrk.found():
        print(wrk.MISSING)
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=".cache")))
        server = stack.enter_context(postgresql_server())
        wanted = [each for size in SIZES for each in _contestants(folder, server, size)]
        sizes = dict(wanted)
        seeds = count(1)
        found = available(sizes)
        results = rounds(found, lambda each: _measure(each, sizes[each], seeds))
    for kind in KINDS:
        print(f"\n{kind}\n")
        rows = (_row(each, sizes[each], kind, results[each]) for each in found)
        print_table(COLUMNS, rows)
    _print_ratios({(each.name, sizes[each]): results[each] for each in found})


def _measure(contestant: Contestant, size: int, seeds: Iterator[int]) -> Round:
    """Ask one server for one kind of request after the other."""
    with running(contestant) as server:
        measured: Round = {}
        for kind in KINDS:
            script = (SCRIPT, kind, size, next(seeds))
            load = partial(
                wrk.load, server.port, PATH, connections=CONNECTIONS, script=script
            )
            if not measured:  # it warms up once
                load(seconds=1)
            before = server.cpu()
            report = load(seconds=max(1, seconds(SECONDS) // 2))
            spent = (server.cpu() - before) / max(1, report.requests)
            measured[kind] = Measured(report=report, cpu=spent)
        return measured


def _row(contestant: Contestant, size: int, kind: str, found: list[Round]) -> list[str]:
    measured = [each[kind] for each in found]
    return [
        f"{size:,}",
        contestant.name,
        three(each.report.rate for each in measured),
        f"{median(each.report.p99 for each in measured):.1f}",
        f"{median(each.cpu for each in measured) * 1e3:.2f}",
        f"{sum(each.report.failed for each in measured):,}",
    ]


def _print_ratios(found: dict[tuple[str, int], list[Round]]) -> None:
    def rate(name: str, size: int, kind: str) -> float | None:
        if (name, size) not in found:
            return None
        return median(each[kind].report.rate for each in found[name, size])

    def ratio(one: float | None, other: float | None) -> float | None:
        return one / other if one and other else None

    most, least = SIZES[-1], SIZES[0]
    ratios: list[tuple[str, float | None, str]] = []
    for name in (SQLITE, POSTGRESQL):
        for kind in KINDS:
            flat = ratio(rate(name, most, kind), rate(name, least, kind))
            asked = "" if kind == "insert" else ">= 0.8"
            ratios.append((f"{name}, {kind}, {most:,} to {least:,}", flat, asked))
    for peer in (FASTAPI, GO):
        for kind in KINDS:
            beside = ratio(rate(SQLITE, most, kind), rate(peer, most, kind))
            ratios.append((f"{SQLITE} to {peer}, {kind}, {most:,}", beside, ""))
    print_ratios("requests/s, ratio of medians", ratios)


def _contestants(
    folder: Path, server: PostgresqlServer | None, size: int
) -> Iterator[tuple[Contestant, int]]:
    for name, command, missing in (
        (SQLITE, _on_sqlite(folder, size), ""),
        (POSTGRESQL, _on_postgresql(server, size), "initdb and pg_ctl are not found"),
        (FASTAPI, _fastapi(folder, size), ""),
        (GO, _go(folder, size), "go, or a C compiler for its SQLite, is not installed"),
    ):
        where = f"{PATH}?limit=1"
        yield Contestant(name=name, command=command, path=where, missing=missing), size


Command = Callable[[int, int], list[str] | None]


def _on_sqlite(folder: Path, size: int) -> Command:
    def command(port: int, admin: int) -> list[str] | None:
        file = _copied(contacts.ours, folder, size) if port else folder
        return _ours(phonebook__sqlite_path=file)(port, admin)

    return command


def _on_postgresql(server: PostgresqlServer | None, size: int) -> Command:
    if server is None:
        return lambda _port, _admin: None
    name = f"contacts_{size}"
    where = {"host": "127.0.0.1", "port": server.port, "user": "phonebook"}
    server.create(name)
    contacts.fill_postgresql(server.port, name, size)
    changed = {f"phonebook__postgresql__{key}": each for key, each in where.items()}
    return _ours(
        phonebook__store="postgresql",
        phonebook__postgresql__database=name,
        phonebook__postgresql__tls="disable",
        **changed,
    )


def _ours(**changed: object) -> Command:
    return ours("service", phonebook__enabled="true", **changed)


def _fastapi(folder: Path, size: int) -> Command:
    started = uvicorn("contacts:contacts", "--factory", "--no-access-log")

    def command(port: int, admin: int) -> list[str]:
        if port:
            os.environ["BENCH_CONTACTS"] = str(_copied(contacts.plain, folder, size))
        return started(port, admin)

    return command


def _go(folder: Path, size: int) -> Command:
    def command(port: int, _admin: int) -> list[str] | None:
        program = go_program("phonebook")
        if program is None:
            return None
        if not port:
            return [program]
        file = _copied(contacts.plain, folder / "go", size)
        return [program, str(port), str(file)]

    return command


def _copied(make: Callable[[int], Path], folder: Path, size: int) -> Path:
    """Return a copy for one server: a new one for each round, unless it is large."""
    kept = make(size)
    file = folder / kept.name
    if size < SIZES[-1] or not file.exists():
        folder.mkdir(exist_ok=True)
        for end in ("-wal", "-shm"):
            Path(f"{file}{end}").unlink(missing_ok=True)
        shutil.copyfile(kept, file)
        os.sync()  # else the first inserts wait for it
    return file.absolute()
