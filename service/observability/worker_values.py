"""
The files in which worker processes share what they measure with their parent.

They are those of prometheus_client, one per process and kind of metric in one
directory. The library decides on them when it is imported: the parent sets
`MULTIPROCESS_VARIABLE` for its workers, which are started afresh, not forked.
"""

import json
import re
import struct
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prometheus_client import mmap_dict, multiprocess, values
from prometheus_client.metrics_core import Metric

__all__ = [
    "MULTIPROCESS_VARIABLE",
    "WorkerValues",
    "bucket_counts",
    "clean_multiprocess_dir",
    "live_workers",
    "mark_worker_dead",
    "merged_families",
]

MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable that makes prometheus_client keep values in files; it must be
set before the worker's first import."""

_LIVE = re.compile(r"gauge_live[a-z]+_([0-9]+)\.db")

_READS = 3
"""Times that the files are read until a scrape fails: one may be just being made."""


class WorkerValues:
    """
    Values of this process in the shared files; in memory alone without them.

    Concurrency:
        One thread at a time.
    """

    def __init__(self) -> None:
        self._values: dict[tuple[str, ...], Any] = {}

    def value(
        self,
        kind: str,
        metric: tuple[str, str],
        *,
        suffix: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> Any:
        """
        Return a value, with `inc(amount)` and `set(value)`; it begins at the file's.

        Args:
            kind: Type of the metric; a gauge adds up over the workers that live.
            metric: Its name and help.
            suffix: What the sample's name has besides the metric's.
            labels: The sample's labels.
        """
        name, text = metric
        labels = labels or {}
        key = (name + suffix, *labels.values())
        if key not in self._values:
            new: Any = values.ValueClass
            self._values[key] = new(
                kind,
                name,
                name + suffix,
                tuple(labels),
                tuple(labels.values()),
                text,
                multiprocess_mode="livesum",
            )
        return self._values[key]


def merged_families(directory: Path) -> list[Metric]:
    """
    Return the metric families of all workers, those that are gone included.

    Args:
        directory: The shared directory.
    """
    new: Any = multiprocess.MultiProcessCollector
    collector = new(None, path=str(directory))
    for _ in range(_READS - 1):
        try:
            return list(collector.collect())
        except (OSError, RuntimeError, struct.error):
            continue
    return list(collector.collect())


def bucket_counts(
    directory: Path, metric: str, labels: Mapping[str, str]
) -> dict[str, float]:
    """
    Return what all workers counted in the buckets of one histogram.

    A fraction of the work of `merged_families`, which reads every metric.

    Args:
        directory: The shared directory.
        metric: Name of the histogram.
        labels: Those that its series must have.

    Returns:
        Counts of each bucket alone, by its `le`; none where nothing was counted.
    """
    read: Any = mmap_dict.MmapedDict.read_all_values_from_file
    found: dict[str, float] = defaultdict(float)
    for file in directory.glob("histogram_*.db"):
        for _ in range(_READS):
            try:
                rows = list(read(str(file)))
            except (OSError, RuntimeError, struct.error):
                continue  # it is just being made
            for key, value, *_ in rows:
                _, name, of, _ = json.loads(key) if metric in key else ("", "", {}, "")
                if name == f"{metric}_bucket" and labels.items() <= of.items():
                    found[of["le"]] += value
            break
    return dict(found)


def live_workers(directory: Path) -> set[int]:
    """
    Return the process ids of the workers that are not marked dead.

    Args:
        directory: The shared directory.
    """
    found = (_LIVE.fullmatch(each.name) for each in directory.glob("gauge_live*.db"))
    return {int(match[1]) for match in found if match}


def mark_worker_dead(directory: Path, pid: int) -> None:
    """
    Forget the live gauges of a worker that is gone; its counts stay.

    Args:
        directory: The shared directory.
        pid: Process id that the worker had.
    """
    forget: Any = multiprocess.mark_process_dead
    forget(pid, str(directory))


def clean_multiprocess_dir(directory: Path) -> None:
    """
    Take away what the workers of an earlier run left, before new ones start.

    Args:
        directory: The shared directory.
    """
    for each in directory.glob("*.db"):
        each.unlink(missing_ok=True)
