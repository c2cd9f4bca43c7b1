"""
The commit log in NATS JetStream, three servers on this machine, each record
acknowledged by most of them: records per second and p99 of one append, by size of the
records, number of producers, and whether the servers sync each record. `nats bench`
(synchronous publishers with message ids, one connection each, in Go) is the peer: as
many records.
"""

import asyncio
import os
import re
import subprocess
import tempfile
from pathlib import Path

from service.commitlog.jetstream import open_jetstream
from service.commitlog.jetstream_options import JetStreamOptions
from tests.bench.appending import append_for, figures
from tests.bench.tables import print_table
from tests.support.chart import find_tool
from tests.support.nats import NatsServer, nats_cluster


def main() -> None:
    """Print the table."""
    if find_tool("nats-server") is None:
        print("nats-server is missing: see tools/nats/go.mod")
        return
    print_table(
        ("servers sync", "bytes", "producers", "through", "records/s", "p50 ms", "p99"),
        (
            row
            for sync in (True, False)
            for size in (100, 1024)
            for producers in (1, 16, 128)
            for row in _rows(sync, size, producers)
        ),
    )


def _rows(sync: bool, size: int, producers: int) -> list[list[str]]:
    begin = ["each record" if sync else "seldom", str(size), str(producers)]
    with (
        tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIRECTORY")) as folder,
        nats_cluster(Path(folder), sync_always=sync, most="4GB") as servers,
    ):
        count, ours = asyncio.run(_ours(servers, size, producers))
        theirs = _theirs(servers, size, producers, count)
    return [[*begin, "our log", *ours], [*begin, "nats bench", *theirs]]


async def _ours(
    servers: list[NatsServer], size: int, producers: int
) -> tuple[int, list[str]]:
    options = JetStreamOptions(servers=tuple(server.url for server in servers))
    log = await open_jetstream(options)
    waits, took = await append_for(log, size=size, producers=producers)
    await log.close()
    return len(waits), figures(waits, took)


def _theirs(
    servers: list[NatsServer], size: int, producers: int, count: int
) -> list[str]:
    program = find_tool("nats")
    if program is None:
        return ["nats is missing", "", ""]
    options = {
        "server": ",".join(server.url for server in servers),
        "size": size,
        "clients": producers,
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
    rates = re.findall(r"([\d,]+) msgs/sec", done.stdout)
    if not rates:
        return [done.stderr.strip()[-80:], "", ""]
    return [max(rates, key=lambda rate: int(rate.replace(",", ""))), "", ""]
