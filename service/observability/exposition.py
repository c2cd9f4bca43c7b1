"""
Metric families as the text that Prometheus reads.

The times at which series began (`…_created`) are left out: they would double the number
of series of counters and summaries, and Prometheus does not need them.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

__all__ = ["expose"]

_ODD_VERSION = re.compile(r"version=(?!\d{1,3}\.\d{1,3}\.\d{1,3}\s*(?:[;,]|$))")
"""A format version that the library's chooser would fail on."""


def expose(
    collect: Callable[[], Iterable[Metric]], *, accept: str, names: Collection[str] = ()
) -> tuple[bytes, str]:
    """
    Return the exposition of metric families and its content type.

    Args:
        collect: Gives the families.
        accept: Value of the `Accept` header; OpenMetrics on request.
        names: Names of families, or of single series, to give alone; all if empty.
    """
    encode, content_type = choose_encoder("" if _ODD_VERSION.search(accept) else accept)
    body: bytes = encode(_Chosen(collect, set(names)))
    return body, content_type


class _Chosen(Collector):
    """The families and samples that are asked for."""

    def __init__(
        self, families: Callable[[], Iterable[Metric]], names: set[str]
    ) -> None:
        self._families = families
        self._names = names

    @override
    def collect(self) -> Iterator[Metric]:
        for family in self._families():
            whole = not self._names or family.name in self._names
            family.samples = [
                each
                for each in family.samples
                if each.name != f"{family.name}_created"
                and (whole or each.name in self._names)
            ]
            if family.samples or whole:
                yield family
