"""From the start of the process to the first 200 of its readiness probe."""

from statistics import median

from tests.bench.contestants import CORE, FASTAPI, Contestant
from tests.bench.processes import running
from tests.bench.tables import print_ratios, print_table, rounds, three

__all__ = ["main"]

ROUNDS = 10

READY = {CORE: "/readyz", FASTAPI: "/version"}
"""Where readiness is asked for."""


def main() -> None:
    """Print the table."""
    results = rounds(list(READY), _measure, default=ROUNDS)
    print_table(
        ("server", "path", "seconds (min / median / max)"),
        ([e.name, f"`{READY[e]}`", three(results[e], ".2f")] for e in results),
    )
    ours = [("start to ready in seconds", median(results[CORE]), "< 0.8")]
    print_ratios("ours, median", ours)


def _measure(contestant: Contestant) -> float:
    with running(contestant, ready=READY[contestant]) as server:
        return server.started_in
