"""
4,000 requests at once to a uniform delay of 0 to 2 s, `wrk -t1 -c4000`; in theory there
are 4,000 answers a second with a p99 of 1.98 s. Meanwhile a probe on a new connection
each 20 ms, to the admin port where there is one, else to `/version`.
"""

from dataclasses import dataclass
from statistics import median

from tests.bench import wrk
from tests.bench.contestants import (
    CORE,
    FASTAPI,
    GO,
    INSTRUMENTED,
    Contestant,
    available,
)
from tests.bench.probing import Probes, probing
from tests.bench.processes import open_files, running
from tests.bench.tables import print_ratios, print_table, rounds, seconds, three

__all__ = ["main"]

CONNECTIONS = 4000
SECONDS = 15
MEAN_DELAY = 1.0
"""Seconds: so many connections can have that many answers a second at most."""

COLUMNS = (
    "server",
    "requests/s (min / median / max)",
    "of theory",
    "p99 s",
    "peak RSS, MB",
    "CPU s per 1,000",
    "probe p99 ms",
    "probes failed",
    "failed",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One round; CPU in seconds per 1,000 requests, memory in MB."""

    report: wrk.Report
    cpu: float
    peak: float
    probes: Probes


Results = dict[Contestant, list[Measured]]


def main() -> None:
    """Print the table, and what is asked for."""
    if not wrk.found():
        print(wrk.MISSING)
        return
    if open_files(CONNECTIONS + 500) < CONNECTIONS + 500:
        print(f"skipped: the limit of open files is below {CONNECTIONS + 500:,}")
        return
    results = rounds(available((GO, FASTAPI, INSTRUMENTED, CORE)), _measure)
    print_table(COLUMNS, (_row(each.name, results[each]) for each in results))
    _print_ratios(results)


def _measure(contestant: Contestant) -> Measured:
    assert contestant.waiting_path is not None
    with running(contestant) as server:
        before = server.cpu()
        with probing(server.probe_port, contestant.probe_path) as probes:
            report = wrk.load(
                server.port,
                contestant.waiting_path,
                connections=CONNECTIONS,
                seconds=seconds(SECONDS),
            )
        return Measured(
            report=report,
            cpu=(server.cpu() - before) / max(report.requests, 1) * 1000,
            peak=server.peak(),
            probes=probes,
        )


def _row(name: str, measured: list[Measured]) -> list[str]:
    return [
        name,
        three(each.report.rate for each in measured),
        f"{_of_theory(measured):.2f}",
        f"{_late(measured):.2f}",
        f"{_peak(measured):.0f}",
        f"{median(each.cpu for each in measured):.3f}",
        f"{_probe(measured):.1f}",
        f"{sum(each.probes.failed for each in measured):,}",
        f"{sum(each.report.failed for each in measured):,}",
    ]


def _of_theory(measured: list[Measured]) -> float:
    return median(each.report.rate for each in measured) / (CONNECTIONS / MEAN_DELAY)


def _late(measured: list[Measured]) -> float:
    return median(each.report.p99 for each in measured) / 1000


def _peak(measured: list[Measured]) -> float:
    return median(each.peak for each in measured)


def _probe(measured: list[Measured]) -> float:
    return median(each.probes.percentile(0.99) for each in measured)


def _print_ratios(results: Results) -> None:
    ours = results[CORE]
    memory = _peak(ours) / _peak(results[GO]) if GO in results else None
    print_ratios(
        "ours, medians",
        [
            ("requests/s, of theory", _of_theory(ours), ">= 0.9"),
            ("p99 in seconds", _late(ours), "< 2.1"),
            ("peak RSS, to Go net/http", memory, "<= 1"),
            ("probe p99 in ms", _probe(ours), "< 20"),
        ],
    )
