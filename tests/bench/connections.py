"""
10,000 kept connections, opened over 10 s, each with a request every 5 s on average:
memory, and requests that failed.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass
from statistics import median

import uvloop

from tests.bench.contestants import CORE, GO, Contestant, available
from tests.bench.processes import Running, open_files, running
from tests.bench.tables import print_ratios, print_table, rounds, seconds, three
from tests.support.keep_alive import KeepAliveLoad, keep_alive_load

__all__ = ["main"]

CONNECTIONS = 10_000
SECONDS = 20
RAMP = 10.0
"""Seconds over which the connections are opened."""

PAUSE = 5.0
"""Seconds between the requests of a connection on average, 0 to twice as long."""

SPARE_FILES = 500

COLUMNS = (
    "server",
    "peak RSS, MB (min / median / max)",
    "idle RSS, MB",
    "kB per connection",
    "requests",
    "CPU s per 1,000",
    "failed",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One round; memory in MB, CPU in seconds."""

    load: KeepAliveLoad
    idle: float
    peak: float
    cpu: float


def main() -> None:
    """Print the table; fewer connections where files are limited."""
    count = min(CONNECTIONS, open_files(CONNECTIONS + SPARE_FILES) - SPARE_FILES)
    print(f"{count:,} connections\n")
    results = rounds(
        available((GO, CORE)), lambda each: _measure(each, count), default=3
    )
    rows = (_row(each.name, results[each], count) for each in results)
    print_table(COLUMNS, rows)
    if GO in results:
        ratio = _peak(results[CORE]) / _peak(results[GO])
        print_ratios("ours, medians", [("peak RSS, to Go net/http", ratio, "<= 1")])


def _measure(contestant: Contestant, count: int) -> Measured:
    with running(contestant) as server:
        idle = server.rss()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            load = runner.run(_load(server, contestant.path, count))
        return Measured(load=load, idle=idle, peak=server.peak(), cpu=server.cpu())


async def _load(server: Running, path: str, count: int) -> KeepAliveLoad:
    async with keep_alive_load(
        "127.0.0.1", server.port, path, clients=count, pause=PAUSE, ramp=RAMP
    ) as load:
        await asyncio.sleep(RAMP + seconds(SECONDS))
        return load


def _row(name: str, measured: list[Measured], count: int) -> list[str]:
    grown = median(each.peak - each.idle for each in measured)
    requests = sum(each.load.answers.total() for each in measured)
    return [
        name,
        three(each.peak for each in measured),
        f"{median(each.idle for each in measured):.0f}",
        f"{grown * 1000 / count:.1f}",
        f"{requests:,}",
        f"{sum(each.cpu for each in measured) / requests * 1000:.3f}",
        _failed(measured),
    ]


def _failed(measured: list[Measured]) -> str:
    """Return how many failed, and how."""
    kinds = sum((Counter(each.load.failed) for each in measured), Counter())
    return ", ".join(f"{n:,} x {kind}" for kind, n in kinds.items()) or "0"


def _peak(measured: list[Measured]) -> float:
    return median(each.peak for each in measured)
