"""
Dashboards as Grafana reads them: what they ask, and what becomes of their variables.

Grafana writes several chosen values as a regular expression, each escaped, and a custom
value for "all" as it is.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.prometheus import Prometheus

__all__ = ["Asked", "asked", "has_data", "interpolated", "panels"]

Dashboard = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """
    One query of a dashboard.

    Attributes:
        source: Type of the data source: `prometheus` or `loki`.
        where: Title of the panel, name of the annotation or of the variable.
        kind: `panel`, `annotation` or `variable`.
        expr: The query, its variables not yet replaced.
        now: Whether one value is asked for, and not a course.
        heat: Whether a heat map is drawn of it.
    """

    source: str
    where: str
    kind: str
    expr: str
    now: bool = False
    heat: bool = False


def panels(dashboard: Dashboard) -> Iterator[dict[str, Any]]:
    """Walk over the panels, rows left out."""
    for panel in dashboard["panels"]:
        yield from panel.get("panels") or []
        if panel["type"] != "row":
            yield panel


def asked(text: str) -> list[Asked]:
    """
    Return every query of a dashboard: of its panels, annotations and variables.

    Args:
        text: The dashboard's JSON.
    """
    dashboard = json.loads(text)
    found = [
        Asked(
            target["datasource"]["type"],
            panel["title"],
            "panel",
            target["expr"],
            now=target.get("instant", False),
            heat=panel["type"] == "heatmap",
        )
        for panel in panels(dashboard)
        for target in panel["targets"]
    ]
    found += [
        Asked(each["datasource"]["type"], each["name"], "annotation", each["expr"])
        for each in dashboard["annotations"]["list"]
    ]
    return found + [
        Asked(each["datasource"]["type"], each["name"], "variable", each["query"])
        for each in dashboard["templating"]["list"]
        if each["type"] == "query"
    ]


def interpolated(expr: str, values: Mapping[str, str | list[str]]) -> str:
    """
    Return *expr* with its variables replaced; one that is not known is an error.

    Args:
        expr: Query.
        values: Values by name; a list is of a variable of which several may be chosen.
    """

    def replaced(match: re.Match[str]) -> str:
        value = values[match[1] or match[2]]
        return value if isinstance(value, str) else _alternatives(value)

    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", replaced, expr)


def has_data(
    prometheus: Prometheus,
    each: Asked,
    values: Mapping[str, str | list[str]],
    *,
    seconds: float = 300,
) -> bool:
    """
    Ask *prometheus* as Grafana does, and tell whether something would be drawn.

    Args:
        prometheus: Data source.
        each: What is asked.
        values: Values of the variables.
        seconds: How long ago the course begins.

    Returns: Whether there is a series with a number in that time.
    """
    expr = interpolated(each.expr, values)
    if each.kind == "variable":
        found = re.fullmatch(r"label_values\((.*), (\w+)\)", expr)
        assert found, expr
        return bool(prometheus.label_values(found[2], found[1]))
    if each.now:
        numbers = [value for _, value in prometheus.query(expr)]
    else:
        course = prometheus.course(expr, seconds=seconds, step=5)
        numbers = [value for _, line in course for value in line]
    return not all(math.isnan(number) for number in numbers)


def _alternatives(values: list[str]) -> str:
    escaped = [re.sub(r"[\\^$*+?.()|[\]{}']", r"\\\\\g<0>", each) for each in values]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"
