"""
CPU, memory and files of a service that is several processes.

The library's collector knows one process. What an operator watches is the service, so
the parent adds up what its workers use.
"""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import ProcessCollector
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample
from typing_extensions import override

__all__ = ["ProcessGroup"]

_CPU = "process_cpu_seconds"
_JOINED: dict[str, Callable[[float, float], float]] = {
    _CPU: lambda one, other: one + other,
    "process_resident_memory_bytes": lambda one, other: one + other,
    "process_virtual_memory_bytes": lambda one, other: one + other,
    "process_open_fds": max,  # its limit, process_max_fds, is that of each process
}
"""How the values of two processes become one; of other families the parent's counts."""


class ProcessGroup(Collector):
    """
    Reports this process and its workers as one.

    Args:
        workers: Gives the process ids of the workers that live.

    Concurrency:
        One scrape at a time.
    """

    def __init__(self, workers: Callable[[], Iterable[int]]) -> None:
        self._workers = workers
        self._pid: int | str = "self"
        self._one = ProcessCollector(pid=lambda: self._pid, registry=None)
        self._cpu: dict[int, float] = {}
        self._gone = 0.0

    @override
    def collect(self) -> Iterator[Metric]:
        """Yield the families of the whole group."""
        others = {pid: self._values_of(pid) for pid in self._workers()}
        self._count_cpu({pid: each.pop(_CPU, 0.0) for pid, each in others.items()})
        for family in self._families_of("self"):
            first = family.samples[0]
            value = first.value
            if family.name == _CPU:
                value += self._gone + sum(self._cpu.values())
            for each in others.values():
                if family.name in each:
                    value = _JOINED[family.name](value, each[family.name])
            family.samples = [Sample(first.name, first.labels, value)]
            yield family

    def _count_cpu(self, now: dict[int, float]) -> None:
        """Keep what workers that are gone have used: a counter never falls."""
        for pid in list(self._cpu):
            if now.get(pid, -1.0) < self._cpu[pid]:
                self._gone += self._cpu.pop(pid)
        self._cpu |= now

    def _values_of(self, pid: int) -> dict[str, float]:
        families = self._families_of(pid)
        return {f.name: f.samples[0].value for f in families if f.name in _JOINED}

    def _families_of(self, pid: int | str) -> list[Metric]:
        self._pid = pid
        return list(self._one.collect())
