"""
A small JSON answer on 50 kept connections, `wrk -t1 -c50` after a second of warming up,
each server as one process. Ours has everything on: request id, metrics, security
headers, limits, time limit, overload guard, throttle, and a JSON access log to a file.
"""

from dataclasses import dataclass
from statistics import median

from tests.bench import wrk
from tests.bench.contestants import (
    BARE,
    CORE,
    DEFAULTS,
    FASTAPI,
    FASTAPI_LOGGED,
    GO,
    INSTRUMENTED,
    PODINFO,
    TYPED,
    Contestant,
    available,
)
from tests.bench.processes import running
from tests.bench.tables import print_ratios, print_table, rounds, seconds, three

__all__ = ["Results", "cpu", "main", "measure", "rate"]

CONNECTIONS = 50
SECONDS = 4
WARM_UP = 1

COLUMNS = (
    "server",
    "requests/s (min / median / max)",
    "to FastAPI",
    "CPU s per 1,000",
    "p50 ms",
    "p99 ms",
    "start to first 200, s",
    "idle RSS, MB",
    "failed",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One round of one server; CPU in seconds per 1,000 requests, memory in MB."""

    report: wrk.Report
    cpu: float
    started_in: float
    idle: float


Results = dict[Contestant, list[Measured]]


def main() -> None:
    """Print the table, and the ratios that are asked for."""
    if not wrk.found():
        print(wrk.MISSING)
        return
    ours = (CORE, DEFAULTS, TYPED)
    wanted = (GO, PODINFO, BARE, FASTAPI, FASTAPI_LOGGED, INSTRUMENTED, *ours)
    results = rounds(available(wanted), measure)
    base = rate(results, FASTAPI)
    print_table(COLUMNS, (_row(each, results, base) for each in results))
    _print_ratios(results)


def rate(results: Results, contestant: Contestant) -> float:
    """Return the median of the requests per second."""
    return median(each.report.rate for each in results[contestant])


def measure(contestant: Contestant) -> Measured:
    """Load one server for a while."""
    with running(contestant) as server:
        idle = server.rss()
        target = (server.port, contestant.path)
        wrk.load(*target, connections=CONNECTIONS, seconds=WARM_UP)
        before = server.cpu()
        report = wrk.load(*target, connections=CONNECTIONS, seconds=seconds(SECONDS))
        spent = (server.cpu() - before) / report.requests * 1000
        return Measured(
            report=report, cpu=spent, started_in=server.started_in, idle=idle
        )


def _row(contestant: Contestant, results: Results, base: float) -> list[str]:
    measured = results[contestant]
    return [
        contestant.name,
        three(each.report.rate for each in measured),
        f"{rate(results, contestant) / base:.2f}",
        f"{cpu(results, contestant):.3f}",
        f"{median(each.report.p50 for each in measured):.2f}",
        f"{median(each.report.p99 for each in measured):.2f}",
        f"{median(each.started_in for each in measured):.2f}",
        f"{median(each.idle for each in measured):.0f}",
        f"{sum(each.report.failed for each in measured):,}",
    ]


def cpu(results: Results, contestant: Contestant) -> float:
    """Return the median of the CPU seconds per 1,000 requests."""
    return median(each.cpu for each in results[contestant])


def _print_ratios(results: Results) -> None:
    def faster(one: Contestant, other: Contestant) -> float | None:
        if other not in results:
            return None
        return rate(results, one) / rate(results, other)

    frugal = None
    if PODINFO in results:
        frugal = cpu(results, CORE) / cpu(results, PODINFO)
    print_ratios(
        "ratio of medians",
        [
            ("requests/s, core handler to FastAPI", faster(CORE, FASTAPI), ">= 3"),
            (
                "requests/s, core handler to FastAPI, an access log on both sides",
                faster(DEFAULTS, FASTAPI_LOGGED),
                "",
            ),
            ("requests/s, FastAPI route to FastAPI", faster(TYPED, FASTAPI), ">= 0.9"),
            (
                "requests/s, FastAPI route to FastAPI + instrumentator",
                faster(TYPED, INSTRUMENTED),
                ">= 1.25",
            ),
            ("CPU per request, core handler to podinfo", frugal, "<= 2.5"),
        ],
    )
