"""
What the queries of the panels have in common: selectors, rates, shares, quantiles.

`$__rate_interval` is Grafana's: at least four scrapes, and at least one step of the
graph, so that no sample is missed and none is needed twice.
"""

from dataclasses import dataclass

__all__ = [
    "LINES",
    "PODS",
    "REQUEST_LINES",
    "ROUTES",
    "SERVICE",
    "Query",
    "increase",
    "mean",
    "quantile",
    "rate",
    "share",
]

SERVICE = 'namespace=~"$namespace",job=~"$job"'
"""Series of the chosen services: what rules record, too, has these labels."""

PODS = f'{SERVICE},pod=~"$pod"'
"""Series of the chosen pods."""

ROUTES = f'{PODS},route=~"$route"'
"""Series of the chosen routes."""

LINES = '{app="httpserver",namespace=~"$namespace",pod=~"$pod"}'
"""Log lines of the chosen pods."""

REQUEST_LINES = f'{LINES} | json | event="request" | route=~"$route"'
"""Access lines of the chosen routes."""


@dataclass(frozen=True, slots=True)
class Query:
    """
    What is asked of the data source.

    Attributes:
        expr: PromQL or LogQL.
        legend: Name of a series; `{{label}}` stands for its value.
        exemplar: Whether single requests are drawn as points that lead to traces.
        now: One value at the end of the range, not one at each step.
    """

    expr: str
    legend: str = ""
    exemplar: bool = False
    now: bool = False


def rate(
    metric: str, *, by: str = "", where: str = ROUTES, over: str = "$__rate_interval"
) -> str:
    """Return how fast a counter grows per second, summed up *by* labels."""
    return f"sum {_by(by)}(rate({metric}{{{where}}}[{over}]))"


def increase(
    metric: str, *, by: str = "", where: str = ROUTES, over: str = "$__rate_interval"
) -> str:
    """Return by how much a counter has grown, summed up *by* labels."""
    return f"sum {_by(by)}(increase({metric}{{{where}}}[{over}]))"


def share(
    metric: str,
    part: str,
    *,
    by: str = "",
    where: str = ROUTES,
    over: str = "$__rate_interval",
) -> str:
    """
    Return which share of *metric* is *part*: 0, not nothing, where there is none.

    Args:
        metric: Counter.
        part: Matchers of the part.
        by: Labels whose values have a share each.
        where: Matchers of the whole.
        over: Range.
    """
    whole = rate(metric, by=by, where=where, over=over)
    some = rate(metric, by=by, where=f"{where},{part}", over=over)
    return f"({some} or 0 * {whole}) / {whole}"


def quantile(
    q: float,
    histogram: str,
    *,
    by: str = "",
    where: str = ROUTES,
    over: str = "$__rate_interval",
) -> str:
    """Return what *q* of the observations keep below."""
    labels = ", ".join(filter(None, ("le", by)))
    buckets = rate(f"{histogram}_bucket", by=labels, where=where, over=over)
    return f"histogram_quantile({q}, {buckets})"


def mean(
    summary: str, *, by: str = "", where: str = ROUTES, over: str = "$__rate_interval"
) -> str:
    """Return the mean of a summary's or a histogram's observations."""
    total, count = (
        rate(f"{summary}_{part}", by=by, where=where, over=over)
        for part in ("sum", "count")
    )
    return f"{total} / {count}"


def _by(labels: str) -> str:
    return f"by ({labels}) " if labels else ""
