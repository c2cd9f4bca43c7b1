"""
What happened between two scrapes, as Prometheus has it.

Services are added up as Prometheus' `sum by` does: what each has done since its own
last scrape, by label.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from service.observability.reading import Sample
from service.top.scrape import Scrape

__all__ = ["Change", "change_between"]

START = "process_start_time_seconds"
"""Series that tells a restart even where the new process has counted further."""

MOST = 1e18
"""What is further from 0 was never counted or measured, and sums of it overflow."""

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Change:
    """
    Two scrapes of one service.

    Attributes:
        seconds: Time between them, above 0.
        rises: By how much each cumulative series rose, by name and labels.
        now: The other series as they are.
    """

    seconds: float
    rises: Mapping[str, list[tuple[Mapping[str, str], float]]] = field(
        default_factory=dict
    )
    now: Mapping[str, list[tuple[Mapping[str, str], float]]] = field(
        default_factory=dict
    )

    def rates(
        self, name: str, *, where: Callable[[Mapping[str, str]], bool] | None = None
    ) -> Iterable[tuple[Mapping[str, str], float]]:
        """Yield labels and rise per second of each series of *name*."""
        for labels, rise in self.rises.get(name, ()):
            if where is None or where(labels):
                yield labels, rise / self.seconds


def change_between(before: Scrape | None, after: Scrape) -> Change:
    """
    Return what happened between two scrapes of one service.

    A series that is smaller than before has begun anew, as all have when the process
    started in between: then all of it is new, which is how Prometheus' `rate` sees it.
    A series that was not there has risen from 0. What can't be true is left out: NaN,
    infinities, counters below 0.

    Args:
        before: The earlier one; without it nothing has risen.
        after: The later one.

    Source: https://prometheus.io/docs/prometheus/latest/querying/functions/#increase
    """
    earlier = _by_series(before.samples) if before else {}
    if before and _start(before.samples) != _start(after.samples):
        earlier = dict.fromkeys(earlier, 0.0)
    rises: dict[str, list[tuple[Mapping[str, str], float]]] = {}
    now: dict[str, list[tuple[Mapping[str, str], float]]] = {}
    for sample in filter(_believable, after.samples):
        if not sample.cumulative:
            now.setdefault(sample.name, []).append((sample.labels, sample.value))
        elif before is not None:
            last = earlier.get(_series(sample), 0.0)
            fresh = sample.value < last
            rise = sample.value if fresh else sample.value - last
            rises.setdefault(sample.name, []).append((sample.labels, rise))
    seconds = max(after.at - before.at, 1e-3) if before else 1.0
    return Change(seconds, rises, now)


def _believable(sample: Sample) -> bool:
    least = 0.0 if sample.cumulative else -MOST
    return least <= sample.value <= MOST  # NaN is in no range


def _start(samples: Iterable[Sample]) -> float | None:
    return next(
        (each.value for each in samples if each.name == START and _believable(each)),
        None,
    )


def _series(sample: Sample) -> tuple[str, Labels]:
    return sample.name, tuple(sorted(sample.labels.items()))


def _by_series(samples: Iterable[Sample]) -> dict[tuple[str, Labels], float]:
    return {
        _series(each): each.value
        for each in samples
        if each.cumulative and _believable(each)
    }
