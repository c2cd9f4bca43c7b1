"""
The log service by gRPC, each server as one process: producers in Go (the same program
for all servers, 16 on a connection) send one record in a request, or a hundred, by
Produce one after the other, or by ProduceStream with 32 requests on their way. The
peer is grpc-go on one file that all waiting records are written to at once. Both
acknowledge after an fdatasync (synced), or after the write (written); ours writes a
line of its access log for each call, to a file. A second peer is grpc.aio with nothing
behind it: what it costs is not ours to save. BENCH_LOG_PEER names another program
with the same commands, BENCH_DIRECTORY where the logs go.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import product
from statistics import median

from tests.bench.contestants import go_program
from tests.bench.log_producers import Report, Shape, by_go, by_python
from tests.bench.log_servers import (
    BARE,
    GO,
    OURS,
    PEER,
    Acknowledged,
    directory,
    servers,
)
from tests.bench.processes import Running, running
from tests.bench.tables import print_ratios, print_table, repeated, three

__all__ = ["main"]

PYTHON = f"{OURS}, our client in Python"
COLUMNS = (
    "acknowledged",
    "call",
    "bytes",
    "producers",
    "records of a request",
    "server",
    "records/s (min / median / max)",
    "p50 ms",
    "p99 ms",
    "CPU µs per record",
    "of the producers",
    "RSS, MB",
    "failed",
)
SHAPES = [
    Shape(streaming=streaming, size=size, producers=producers)
    for streaming, size, producers in product((False, True), (100, 1024), (1, 16, 128))
]
BATCHES = [
    Shape(streaming=streaming, size=100, producers=16, batch=100)
    for streaming in (False, True)
]
BY_PYTHON = (
    Shape(streaming=False, size=100, producers=16),
    Shape(streaming=True, size=100, producers=1),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One load; CPU of the server in seconds per record, its memory in MB."""

    report: Report
    cpu: float
    rss: float


Row = tuple[Acknowledged, Shape, str]
Results = dict[Row, list[Measured]]


def main() -> None:
    """Print a table, and how ours compares."""
    program = go_program("log")
    if program is None:
        print("go is not installed, or can't build tests/bench/peers/log")
        return
    results: Results = {}
    for _ in repeated():
        for row, measured in _round(program):
            results.setdefault(row, []).append(measured)
    ordered = sorted(results, key=lambda row: (row[0], _order(row[1])))
    print_table(COLUMNS, (_row(*row, results[row]) for row in ordered))
    _print_ratios(results)


def _round(program: str) -> Iterator[tuple[Row, Measured]]:
    """Give all servers one load after the other: a slow minute hits all of them."""
    for acknowledge in ("synced", "written"):
        with ExitStack() as stack:
            found = {
                each.name: stack.enter_context(running(each, ready="/readyz"))
                for each in servers(acknowledge, stack.enter_context(directory()))
            }
            for shape, name in product((*SHAPES, *BATCHES), found):
                load = partial(by_go, program, found[name].port, shape)
                yield (acknowledge, shape, name), _measured(found[name], load)
            for shape in BY_PYTHON:
                load = partial(by_python, found[OURS].port, shape)
                yield (acknowledge, shape, PYTHON), _measured(found[OURS], load)


def _measured(server: Running, load: Callable[[], Report]) -> Measured:
    before = server.cpu()
    report = load()
    cpu = (server.cpu() - before) / max(1, report.all)
    return Measured(report=report, cpu=cpu, rss=server.rss())


def _order(shape: Shape) -> tuple[bool, int, int, int]:
    return shape.streaming, shape.batch, shape.size, shape.producers


def _row(
    acknowledge: Acknowledged, shape: Shape, name: str, measured: list[Measured]
) -> list[str]:
    reports = [each.report for each in measured]
    return [
        acknowledge,
        "ProduceStream" if shape.streaming else "Produce",
        f"{shape.size:,}",
        str(shape.producers),
        str(shape.batch),
        name,
        three(each.rate for each in reports),
        f"{median(each.p50_ms for each in reports):.2f}",
        f"{median(each.p99_ms for each in reports):.2f}",
        f"{median(each.cpu for each in measured) * 1e6:.0f}",
        f"{median(each.cpu for each in reports) * 1e6:.0f}",
        f"{median(each.rss for each in measured):.0f}",
        "; ".join([str(sum(each.failed for each in reports)), *_whys(reports)]),
    ]


def _whys(reports: list[Report]) -> list[str]:
    return sorted({each.why for each in reports if each.why})


def _print_ratios(results: Results) -> None:
    def rate(acknowledge: str, shape: Shape, name: str) -> float | None:
        measured = results.get((acknowledge, shape, name))
        return median(each.report.rate for each in measured) if measured else None

    ratios: list[tuple[str, float | None, str]] = []
    for acknowledge, shape, peer in product(
        ("synced", "written"), (*SHAPES, *BATCHES), (GO, PEER, BARE)
    ):
        ours, theirs = (rate(acknowledge, shape, name) for name in (OURS, peer))
        called = "streaming" if shape.streaming else "unary"
        what = f"{acknowledge}, {called}, {shape.producers} x {shape.batch}"
        if ours is not None and theirs and shape.size == SHAPES[0].size:
            ratios.append((f"{what}, to {peer}", ours / theirs, ""))
    print_ratios(
        "records/s of 100 B (producers x records of a request), ratio of medians",
        ratios,
    )
