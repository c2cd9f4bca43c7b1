"""Rounds of a measurement, and Markdown of what came of them."""

import os
from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import TypeVar

from tests.bench.contestants import Contestant

__all__ = ["print_ratios", "print_table", "repeated", "rounds", "seconds", "three"]

R = TypeVar("R")


def seconds(default: int) -> int:
    """Return how long a load lasts: BENCH_SECONDS, or *default*."""
    return int(os.environ.get("BENCH_SECONDS", default))


def repeated(default: int = 3) -> range:
    """Return the rounds of a measurement: BENCH_ROUNDS, or *default*."""
    return range(int(os.environ.get("BENCH_ROUNDS", default)))


def rounds(
    contestants: Sequence[Contestant],
    measure: Callable[[Contestant], R],
    *,
    default: int = 3,
) -> dict[Contestant, list[R]]:
    """Measure one after the other, BENCH_ROUNDS times over: a slow minute hits all."""
    results: dict[Contestant, list[R]] = {each: [] for each in contestants}
    for _ in repeated(default):
        for each in contestants:
            results[each].append(measure(each))
    return results


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table."""
    print(f"| {' | '.join(columns)} |")
    print("|---" * len(columns) + "|")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


def print_ratios(
    title: str, ratios: Iterable[tuple[str, float | None, str]], *, form: str = ".2f"
) -> None:
    """Print what was asked for beside what was measured; None is left out."""
    print()
    rows = [[n, f"{v:{form}}", asked] for n, v, asked in ratios if v is not None]
    print_table((title, "measured", "asked for"), rows)


def three(values: Iterable[float], form: str = ",.0f") -> str:
    """Return minimum, median and maximum."""
    ordered = sorted(values)
    least, most = ordered[0], ordered[-1]
    return f"{least:{form}} / {median(ordered):{form}} / {most:{form}}"
