"""
The commit log with a tenth of BENCH_RECORDS (10,000,000) and with all of them, of
100 B: what an append costs as it grows, how long it takes to open again, and the most
memory that it takes meanwhile. Each is a process of its own: after kill -9 amid
appends, after a close, and without indexes and mark, so that every frame is checked.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from service.commitlog import Acknowledge, Policy, Record
from service.commitlog.log import Log
from tests.bench.log_servers import directory
from tests.bench.processes import Watched
from tests.bench.tables import print_table

__all__ = ["main"]

RECORDS = int(os.environ.get("BENCH_RECORDS", "10000000"))
TENTHS = 10
BATCH = 100
VALUE = 100


def main() -> None:
    """Print what appends cost, and what starts do."""
    rows: list[list[str]] = []
    for records in (RECORDS // TENTHS, RECORDS):
        with directory() as folder:
            tenths = _filled(folder, records)
            title = f"tenth of {records:,} records"
            numbered = enumerate(tenths, 1)
            print_table(
                (title, "µs per record"),
                [[str(n), f"{each:.2f}"] for n, each in numbered],
            )
            print()
            rows += _starts(folder, records)
    print_table(("process", "records", "seconds", "peak RSS, MB"), rows)


def _filled(directory: Path, records: int) -> list[float]:
    """Return µs per record of each tenth; the writer is killed as it goes on."""
    with _child("fill", str(directory), str(records)) as child:
        assert child.stdout is not None
        tenths: list[float] = json.loads(child.stdout.readline())
        time.sleep(0.2)  # it goes on for a while
        child.kill()
    return tenths


def _starts(directory: Path, records: int) -> list[list[str]]:
    """Open the log again and again, each time as another end of the writer left it."""
    rows = [
        _row("an empty log", "open", directory / "empty", 0),
        _row("after kill -9", "open", directory, records),
        _row("after a close", "open", directory, records),
    ]
    for index in directory.glob("*.index"):
        index.unlink()
    (directory / "synced").unlink()
    return [
        *rows,
        _row("without indexes and mark", "open", directory, records),
        _row("reading all, opened before", "read", directory, records),
    ]


def _row(name: str, what: str, directory: Path, records: int) -> list[str]:
    with _child(what, str(directory)) as child:
        out, _ = child.communicate()
    found = json.loads(out)
    assert found["records"] >= records, found
    return [
        name,
        f"{found['records']:,}",
        f"{found['seconds']:.2f}",
        f"{found['peak']:.0f}",
    ]


def _child(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", __spec__.name, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _fill(directory: Path, records: int) -> None:
    """Append batches, unsynced, say what each tenth took, and go on until killed."""
    log = Log(directory, Policy(acknowledge=Acknowledge.WRITTEN))
    batch, tenths = [[Record(os.urandom(VALUE))] * BATCH], []
    for _ in range(TENTHS):
        begin = time.perf_counter()
        for _ in range(records // TENTHS // BATCH):
            log.commit(batch)
        tenths.append((time.perf_counter() - begin) / (records // TENTHS) * 1e6)
    print(json.dumps(tenths), flush=True)
    while True:
        log.commit(batch)


def _opened(directory: Path, then: Callable[[Log], float] | None = None) -> None:
    """Say how long it took to open the log, or what is done *then*."""
    begin = time.perf_counter()
    log = Log(directory)
    took = time.perf_counter() - begin
    if then is not None:
        took = then(log)
    # not what the system counts for getrusage, which begins with the parent's
    peak = Watched(pid=os.getpid()).peak()
    found: dict[str, Any] = {"records": log.next_offset, "seconds": took, "peak": peak}
    log.close()
    print(json.dumps(found))


def _read(log: Log) -> float:
    begin, offset, until = time.perf_counter(), 0, log.next_offset
    while offset < until:
        limits = {"max_records": 10_000, "max_bytes": 1 << 20}
        offset += len(log.read(offset, until=until, **limits))
    return time.perf_counter() - begin


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["fill", folder, records]:
            _fill(Path(folder), int(records))
        case ["open", folder]:
            _opened(Path(folder))
        case ["read", folder]:
            _opened(Path(folder), _read)
        case _:
            sys.exit("usage: fill DIRECTORY RECORDS | open DIRECTORY | read DIRECTORY")
