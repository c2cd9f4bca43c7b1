"""
The commit log in NATS JetStream, three servers on this machine, each record
acknowledged by most of them, and each producer waiting for its record: by size of the
records, number of producers, and whether the servers sync each record. `nats bench`
(synchronous publishers with message ids, one connection each, in Go) is the peer: as
many records as ours took in its time. CPU and memory are of the three servers.
"""

import asyncio
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import mean, median

from service.commitlog.jetstream import open_jetstream
from service.commitlog.jetstream_options import JetStreamOptions
from tests.bench.appending import append_for
from tests.bench.log_producers import Report, Shape, reported
from tests.bench.log_servers import directory
from tests.bench.processes import Watched
from tests.bench.tables import print_table, repeated, three
from tests.support.chart import find_tool
from tests.support.nats import NatsServer, nats_cluster

__all__ = ["main"]

COLUMNS = (
    "servers sync",
    "bytes",
    "producers",
    "through",
    "records/s (min / median / max)",
    "p50 ms",
    "p99 ms",
    "CPU µs per record",
    "RSS, MB",
)
OURS, THEIRS = "**our log**", "nats bench"
SHAPES = [
    Shape(streaming=False, size=size, producers=producers)
    for size, producers in product((100, 1024), (1, 16, 128))
]

Row = tuple[bool, Shape, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """
    One load of the servers.

    Attributes:
        rate: Records per second.
        waits: Median and p99 of an append, in milliseconds, or what is known of them.
        cpu: Seconds of the servers per record.
        rss: Memory of the servers in megabytes.
    """

    rate: float
    waits: tuple[str, str]
    cpu: float
    rss: float


def main() -> None:
    """Print the table."""
    if _tool("nats-server", "nats-server/v2") is None:
        print("nats-server is missing, and can't be built from tools/nats")
        return
    nats = _tool("nats", "natscli/nats")
    if nats is None:
        print("nats is missing, and can't be built from tools/nats: no peer\n")
    results: dict[Row, list[Measured]] = {}
    for _ in repeated():
        for sync, shape in product((True, False), SHAPES):
            for name, measured in _measured(sync, shape, nats):
                results.setdefault((sync, shape, name), []).append(measured)
    print_table(COLUMNS, (_row(*row, found) for row, found in results.items()))


def _tool(name: str, package: str) -> str | None:
    """Find a program of NATS, or build it once; None where that can't be."""
    if find_tool(name) is None and shutil.which("go"):
        target = f"{Path('.cache/bin').absolute()}/"
        build = ["go", "build", "-C", "tools/nats", "-ldflags", "-s -w", "-o", target]
        subprocess.run([*build, f"github.com/nats-io/{package}"], timeout=900)
    found = find_tool(name)
    return None if found is None else str(found)


def _measured(
    sync: bool, shape: Shape, nats: str | None
) -> Iterator[tuple[str, Measured]]:
    with (
        directory() as folder,
        nats_cluster(folder, sync_always=sync, most="4GB") as servers,
    ):
        watched = [Watched(pid=server.pid) for server in servers]
        before = _cpu(watched)
        report = asyncio.run(_ours(servers, shape))
        waits = f"{report.p50_ms:.2f}", f"{report.p99_ms:.2f}"
        yield OURS, _found(report.rate, waits, report.all, watched, before)
        if nats is not None:
            before = _cpu(watched)
            rate, waits = _theirs(nats, servers, shape, report.all)
            yield THEIRS, _found(rate, waits, report.all, watched, before)


def _found(
    rate: float,
    waits: tuple[str, str],
    records: int,
    watched: list[Watched],
    before: float,
) -> Measured:
    cpu = (_cpu(watched) - before) / max(1, records)
    return Measured(
        rate=rate, waits=waits, cpu=cpu, rss=sum(each.rss() for each in watched)
    )


def _cpu(watched: list[Watched]) -> float:
    return sum(each.cpu() for each in watched)


async def _ours(servers: list[NatsServer], shape: Shape) -> Report:
    options = JetStreamOptions(servers=tuple(server.url for server in servers))
    log = await open_jetstream(options)
    used = time.process_time()
    size, producers = shape.size, shape.producers
    waits, took = await append_for(log.append, size=size, producers=producers)
    await log.close()
    return reported(waits, took, time.process_time() - used)


def _theirs(
    program: str, servers: list[NatsServer], shape: Shape, count: int
) -> tuple[float, tuple[str, str]]:
    """Return the rate and the waits that `nats bench` tells of as many records."""
    options = {
        "server": ",".join(server.url for server in servers),
        "size": shape.size,
        "clients": shape.producers,
        "msgs": count,
        "replicas": 3,
        "stream": "bench",
    }
    words = [f"--{name}={value}" for name, value in options.items()]
    flags = ["--create", "--dedup", "--no-progress"]
    done = subprocess.run(
        [program, "bench", "js", "pub", "sync", *words, *flags, "bench"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    # one line for each publisher, and one for all of them
    rates = [_number(rate) for rate in re.findall(r"([\d,]+) msgs/sec", done.stdout)]
    if not rates:
        raise RuntimeError(done.stderr)
    return max(rates), _percentiles(done.stdout)


def _percentiles(told: str) -> tuple[str, str]:
    """Return p50 and p99 in milliseconds; older versions tell the mean alone."""
    found = [re.findall(rf"{name}:? ([\d.,]+)us", told) for name in ("P50", "P99")]
    if all(found):
        p50, p99 = (f"{_number(each[-1]) / 1e3:.2f}" for each in found)
        return p50, p99
    means = [_number(each) for each in re.findall(r"~ ([\d.,]+)us", told)]
    return f"mean {mean(means) / 1e3:.2f}" if means else "", ""


def _number(told: str) -> float:
    return float(told.replace(",", ""))


def _row(sync: bool, shape: Shape, name: str, measured: list[Measured]) -> list[str]:
    middle = sorted(measured, key=lambda each: each.rate)[len(measured) // 2]
    return [
        "each record" if sync else "seldom",
        f"{shape.size:,}",
        str(shape.producers),
        name,
        three(each.rate for each in measured),
        *middle.waits,
        f"{median(each.cpu for each in measured) * 1e6:.0f}",
        f"{median(each.rss for each in measured):.0f}",
    ]
