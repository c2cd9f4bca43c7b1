"""
The commit log alone, without a network, each producer waiting for its record: by size
of the records, number of producers and what an acknowledgement means. Its peers are a
file in Go that all waiting records are written to at once, and for one producer SQLite
(WAL, synchronous=FULL, one transaction per record). BENCH_LOG_PEER names another
program like that in Go, which need not sync, BENCH_DIRECTORY where the logs go.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from statistics import median

from service.commitlog import Acknowledge, Policy, SegmentLog
from tests.bench.appending import append_for
from tests.bench.contestants import go_program
from tests.bench.log_producers import Report, Shape, ran, reported
from tests.bench.log_servers import PEER, directory, named_peer
from tests.bench.tables import print_table, repeated, seconds, three

__all__ = ["main"]

OURS, GO, SQLITE = "**our log**", "a file, Go", "SQLite"
COLUMNS = (
    "acknowledged",
    "bytes",
    "producers",
    "log",
    "records/s (min / median / max)",
    "p50 ms",
    "p99 ms",
    "CPU µs per record",
)
SHAPES = [
    Shape(streaming=False, size=size, producers=producers)
    for size, producers in product((100, 1024), (1, 16, 128))
]

Row = tuple[Acknowledge, Shape, str]


def main() -> None:
    """Print the table."""
    results: dict[Row, list[Report]] = {}
    for _ in repeated():
        for acknowledge, shape in product(Acknowledge, SHAPES):
            for name, report in _measured(acknowledge, shape):
                results.setdefault((acknowledge, shape, name), []).append(report)
    print_table(COLUMNS, (_row(*row, found) for row, found in results.items()))


def _measured(acknowledge: Acknowledge, shape: Shape) -> Iterator[tuple[str, Report]]:
    with directory() as folder:
        yield OURS, asyncio.run(_ours(folder, acknowledge, shape))
    is_synced = acknowledge is Acknowledge.SYNCED
    programs = {GO: go_program("log"), PEER: None if is_synced else named_peer()}
    for name, program in programs.items():
        if program is not None:
            with directory() as folder:
                log = (f"-directory={folder}", f"-acknowledge={acknowledge}")
                yield name, ran((program, "append", *log), shape)
    if is_synced and shape.producers == 1:
        with directory() as folder:
            yield SQLITE, _sqlite(folder, shape.size)


async def _ours(folder: Path, acknowledge: Acknowledge, shape: Shape) -> Report:
    log = await SegmentLog.open(folder, Policy(acknowledge=acknowledge))
    used = time.process_time()
    waits, took = await append_for(
        log.append, size=shape.size, producers=shape.producers
    )
    await log.close()
    return reported(waits, took, time.process_time() - used)


def _sqlite(folder: Path, size: int) -> Report:
    waits: list[float] = []
    base = sqlite3.connect(f"{folder}/log.sqlite", isolation_level=None)
    base.execute("pragma journal_mode=wal")
    base.execute("pragma synchronous=full")
    base.execute("create table log (offset integer primary key, value blob)")
    value, used = os.urandom(size), time.process_time()
    begin = now = time.perf_counter()
    while now < begin + seconds(2):
        base.execute("insert into log (value) values (?)", (value,))
        now, before = time.perf_counter(), now
        waits.append(now - before)
    base.close()
    return reported(waits, now - begin, time.process_time() - used)


def _row(
    acknowledge: Acknowledge, shape: Shape, name: str, reports: list[Report]
) -> list[str]:
    return [
        acknowledge,
        f"{shape.size:,}",
        str(shape.producers),
        name,
        three(each.rate for each in reports),
        f"{median(each.p50_ms for each in reports):.3f}",
        f"{median(each.p99_ms for each in reports):.3f}",
        f"{median(each.cpu for each in reports) * 1e6:.1f}",
    ]
