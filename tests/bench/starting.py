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
    for each in READY:  # once for their bytecode
        _measure(each)
    results = rounds(list(READY), _measure, default=ROUNDS)
    print_table(
        ("server", "path", "seconds (min / median / max)", "CPU s"),
        (_row(each, results[each]) for each in results),
    )
    ready = median(seconds for seconds, _ in results[CORE])
    print_ratios("ours, median", [("start to ready in seconds", ready, "< 0.8")])


def _measure(contestant: Contestant) -> tuple[float, float]:
    """Return seconds and CPU seconds until the answer."""
    with running(contestant, ready=READY[contestant]) as server:
        return server.started_in, server.cpu()


def _row(contestant: Contestant, measured: list[tuple[float, float]]) -> list[str]:
    return [
        contestant.name,
        f"`{READY[contestant]}`",
        three((seconds for seconds, _ in measured), ".2f"),
        f"{median(cpu for _, cpu in measured):.2f}",
    ]
