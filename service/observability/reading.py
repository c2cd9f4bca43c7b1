"""
Metrics as somebody else told them: the text format of Prometheus, read back.

The opposite of `exposition`. It is for whoever watches a running service from outside.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

__all__ = ["Sample", "read_exposition"]


@dataclass(frozen=True, slots=True)
class Sample:
    """
    One number of a scrape.

    Attributes:
        name: Name of the series, its suffix included.
        labels: The labels by name.
        value: The number; may be NaN or infinite.
        cumulative: Whether it only rises while the process lives: counters, and the
            buckets, sums and counts of histograms and summaries.
    """

    name: str
    labels: Mapping[str, str]
    value: float
    cumulative: bool


def read_exposition(text: str) -> list[Sample]:
    """
    Return the samples of an exposition in the text format.

    Raises:
        ValueError: It is something else.
    """
    try:
        return list(_samples(text))
    except (ValueError, KeyError, IndexError, AttributeError) as error:
        # what the library raises depends on where the text goes wrong
        raise ValueError("not in Prometheus' text format") from error


def _samples(text: str) -> Iterable[Sample]:
    for family in text_string_to_metric_families(text):
        rises = family.type in ("counter", "histogram", "summary")
        for name, labels, value, *_ in family.samples:
            yield Sample(name, labels, float(value), rises and "quantile" not in labels)
