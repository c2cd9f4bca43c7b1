"""
The commit log alone, without a network: records per second and p99 of one append, by
size of the records, number of producers and what an acknowledgement means; the cost of
an append as the log grows; the time to recover it. SQLite (WAL, synchronous=FULL, one
transaction per record) is the peer of one durable producer. BENCH_RECORDS shortens the
last two.
"""

import asyncio
import os
import sqlite3
import tempfile
import time
from pathlib import Path

from service.commitlog import Acknowledge, Policy, Record, SegmentLog
from service.commitlog.log import Log
from tests.bench.appending import append_for, figures
from tests.bench.tables import print_table, seconds

RECORDS = int(os.environ.get("BENCH_RECORDS", "1000000"))
TENTHS = 10


def main() -> None:
    """Print the tables."""
    rows = [
        asyncio.run(_producers(acknowledge, size, producers))
        for acknowledge in Acknowledge
        for size in (100, 1024)
        for producers in (1, 16, 128)
    ]
    rows += [_sqlite(size) for size in (100, 1024)]
    print_table(
        ("acknowledged", "bytes", "producers", "records/s", "p50 ms", "p99 ms"), rows
    )
    print()
    with _directory() as directory:
        print_table(
            (f"tenth of {RECORDS:,} records", "µs per record"),
            _growing(Path(directory)),
        )
        print()
        print_table(("start", "seconds"), _recovering(Path(directory)))


def _directory() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIRECTORY"))


async def _producers(acknowledge: Acknowledge, size: int, producers: int) -> list[str]:
    with _directory() as directory:
        policy = Policy(acknowledge=acknowledge)
        log = await SegmentLog.open(Path(directory), policy)
        waits, took = await append_for(log, size=size, producers=producers)
        await log.close()
    return [acknowledge, str(size), str(producers), *figures(waits, took)]


def _sqlite(size: int) -> list[str]:
    waits: list[float] = []
    with _directory() as directory:
        base = sqlite3.connect(f"{directory}/log.sqlite", isolation_level=None)
        base.execute("pragma journal_mode=wal")
        base.execute("pragma synchronous=full")
        base.execute("create table log (offset integer primary key, value blob)")
        value = os.urandom(size)
        begin = now = time.perf_counter()
        while now < begin + seconds(3):
            base.execute("insert into log (value) values (?)", (value,))
            now, before = time.perf_counter(), now
            waits.append(now - before)
        base.close()
    return ["SQLite, synced", str(size), "1", *figures(waits, now - begin)]


def _growing(directory: Path) -> list[list[str]]:
    """Append batches of 100 records of 100 B, unsynced, and time each tenth."""
    log = Log(directory, Policy(acknowledge=Acknowledge.WRITTEN))
    record, rows = Record(os.urandom(100)), []
    for tenth in range(TENTHS):
        begin = time.perf_counter()
        for _ in range(RECORDS // TENTHS // 100):
            log.commit([[record] * 100])
        took = time.perf_counter() - begin
        rows.append([str(tenth + 1), f"{took / (RECORDS // TENTHS) * 1e6:.2f}"])
    log.close()
    return rows


def _recovering(directory: Path) -> list[list[str]]:
    """Open the log: as it was closed, without indexes, and read it once."""
    rows = [[f"after a close, {RECORDS:,} records", _opened(directory)]]
    for index in directory.glob("*.index"):
        index.unlink()
    (directory / "synced").unlink()
    rows.append(["without index and mark: every frame checked", _opened(directory)])
    log = Log(directory)
    begin, offset = time.perf_counter(), 0
    while offset < log.next_offset:
        until = log.next_offset
        offset += len(
            log.read(offset, max_records=10_000, max_bytes=1 << 20, until=until)
        )
    took = time.perf_counter() - begin
    log.close()
    return [*rows, [f"reading all, {RECORDS / took:,.0f} records/s", f"{took:.2f}"]]


def _opened(directory: Path) -> str:
    begin = time.perf_counter()
    log = Log(directory)
    took = time.perf_counter() - begin
    assert log.next_offset == RECORDS
    log.close()
    return f"{took:.2f}"
