"""
How panels look: one function a kind of panel, so that all dashboards look alike.

Grafana 10 and later read them.
"""

from collections.abc import Sequence
from typing import NotRequired, TypedDict, TypeVar

from grafana_foundation_sdk.builders import (
    common as common_builders,
)
from grafana_foundation_sdk.builders import (
    dashboard as builders,
)
from grafana_foundation_sdk.builders import (
    heatmap as heatmaps,
)
from grafana_foundation_sdk.builders import (
    logs,
    loki,
    prometheus,
    stat,
    timeseries,
)
from grafana_foundation_sdk.builders import (
    table as tables,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common, heatmap
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from typing_extensions import Unpack

from tools.dashboards.queries import Query

__all__ = [
    "LOKI",
    "PROMETHEUS",
    "Look",
    "graph",
    "heat",
    "lines",
    "log_graph",
    "number",
    "table",
]

PROMETHEUS = common.DataSourceRef(type_val="prometheus", uid="${prometheus}")
LOKI = common.DataSourceRef(type_val="loki", uid="${loki}")

Panel = Builder[models.Panel]

Built = TypeVar(
    "Built", timeseries.Panel, stat.Panel, heatmaps.Panel, tables.Panel, logs.Panel
)


class Look(TypedDict):
    """
    What every panel has.

    Attributes:
        shows: What is to be seen.
        good: How it looks when all is well.
        bad: How it looks when it is not, and what to do.
        unit: Grafana's name of the unit: `s`, `bytes`, `reqps`, `percentunit` …
        width: Of the 24 columns.
        height: In rows of 30 pixels.
        limits: Where it turns orange, and where red; the other way round when the
            second is the smaller one.
    """

    shows: str
    good: str
    bad: str
    unit: str
    width: NotRequired[int]
    height: NotRequired[int]
    limits: NotRequired[tuple[float, float]]


def graph(
    title: str, *queries: Query, stacked: bool = False, **look: Unpack[Look]
) -> Panel:
    """Return lines over time, from 0 on; *stacked* where their sum says something."""
    panel = _lines_over_time(title, stacked=stacked, look=look)
    return panel.datasource(PROMETHEUS).targets(_metrics(queries))


def log_graph(title: str, *queries: Query, **look: Unpack[Look]) -> Panel:
    """Return lines over time that Loki counts from log lines."""
    panel = _lines_over_time(title, stacked=True, look=look)
    return panel.datasource(LOKI).targets(_logs(queries))


def number(
    title: str,
    query: Query,
    *,
    decimals: int | None = None,
    empty: str = "-",
    **look: Unpack[Look],
) -> Panel:
    """Return the last value, in large, with its course behind it; *empty* without."""
    look = {"width": 4, "height": 5, **look}
    last = common_builders.ReduceDataOptions().calcs(["lastNotNull"])
    mode = common.BigValueGraphMode.NONE if query.now else common.BigValueGraphMode.AREA
    panel = _dressed(stat.Panel(), title, look)
    panel = panel.reduce_options(last).graph_mode(mode).no_value(empty)
    if decimals is not None:
        panel = panel.decimals(decimals)
    return panel.datasource(PROMETHEUS).targets(_metrics([query]))


def heat(title: str, query: Query, **look: Unpack[Look]) -> Panel:
    """Return a heat map of a histogram: a row a bucket, the darker the more."""
    look = {"width": 12, "height": 9, **look}
    axis = heatmaps.YAxisConfig().unit(look["unit"]).min(0)
    colors = (
        heatmaps.HeatmapColorOptions()
        .mode(heatmap.HeatmapColorMode.SCHEME)
        .scheme("Oranges")
        .fill("dark-orange")
        .scale(heatmap.HeatmapColorScale.EXPONENTIAL)
        .exponent(0.5)
        .reverse(False)
        .steps(64)
    )
    panel = (
        _dressed(heatmaps.Panel(), title, look)
        .calculate(calculate=False)
        .cell_gap(0)
        .color(colors)
        .y_axis(axis)
        .filter_values(heatmaps.FilterValueRange().le(1e-9))
        .exemplars_color("rgba(255,0,255,0.7)")
        .hide_legend()
    )
    return panel.datasource(PROMETHEUS).targets(
        _metrics([query], form=PromQueryFormat.HEATMAP)
    )


def table(
    title: str,
    columns: dict[str, tuple[Query, str]],
    *,
    rows: Sequence[str],
    **look: Unpack[Look],
) -> Panel:
    """
    Return a table: a row for each value of the labels *rows*, a column a query.

    Args:
        title: Title.
        columns: Query and unit by the column's name; the first one sorts.
        rows: Labels that the queries group by, in the order of their columns.
        look: As of every panel.
    """
    names = {_name(index, columns): name for index, name in enumerate(columns)}
    order = {label: index for index, label in enumerate([*rows, *names])}
    first = common_builders.TableSortByFieldState().display_name(next(iter(columns)))
    options = {
        "excludeByName": {"Time": True},
        "indexByName": order,
        "renameByName": names,
    }
    panel = (
        _dressed(tables.Panel(), title, look)
        .with_transformation(models.DataTransformerConfig("merge", options={}))
        .with_transformation(models.DataTransformerConfig("organize", options=options))
        .sort_by([first.desc(desc=True)])
    )
    for name, (_, unit) in columns.items():
        panel = panel.override_by_name(name, [models.DynamicConfigValue("unit", unit)])
    queries = [query for query, _ in columns.values()]
    return panel.datasource(PROMETHEUS).targets(
        _metrics(queries, form=PromQueryFormat.TABLE)
    )


def lines(title: str, query: Query, **look: Unpack[Look]) -> Panel:
    """Return log lines, the newest first."""
    look = {"width": 24, "height": 10, **look}
    panel = (
        _dressed(logs.Panel(), title, look)
        .show_time(show_time=True)
        .wrap_log_message(wrap_log_message=True)
        .enable_log_details(enable_log_details=True)
        .sort_order(common.LogsSortOrder.DESCENDING)
        .dedup_strategy(common.LogsDedupStrategy.NONE)
    )
    return panel.datasource(LOKI).targets(_logs([query]))


def _name(index: int, columns: dict[str, tuple[Query, str]]) -> str:
    """Return how the table calls the values of a query before they are named."""
    return "Value" if len(columns) == 1 else f"Value #{_ref(index)}"


def _ref(index: int) -> str:
    return chr(ord("A") + index)


def _lines_over_time(title: str, *, stacked: bool, look: Look) -> timeseries.Panel:
    legend = (
        common_builders.VizLegendOptions()
        .display_mode(common.LegendDisplayMode.TABLE)
        .placement(common.LegendPlacement.BOTTOM)
        .show_legend(show_legend=True)
        .calcs(["mean", "max"])
    )
    tooltip = (
        common_builders.VizTooltipOptions()
        .mode(common.TooltipDisplayMode.MULTI)
        .sort(common.SortOrder.DESCENDING)
    )
    panel = (
        _dressed(timeseries.Panel(), title, look)
        .legend(legend)
        .tooltip(tooltip)
        .min(0)
        .line_width(1)
        .fill_opacity(30 if stacked else 8)
        .show_points(common.VisibilityMode.NEVER)
    )
    if stacked:
        mode = common_builders.StackingConfig().mode(common.StackingMode.NORMAL)
        panel = panel.stacking(mode.group("A"))
    if "limits" in look:
        style = common_builders.GraphThresholdsStyleConfig()
        panel = panel.thresholds_style(
            style.mode(common.GraphThresholdsStyleMode.DASHED)
        )
    return panel


def _dressed(panel: Built, title: str, look: Look) -> Built:
    text = f"{look['shows']}\n\n**Good:** {look['good']}\n\n**Bad:** {look['bad']}"
    panel.title(title).description(text).unit(look["unit"])
    panel.span(look.get("width", 8)).height(look.get("height", 8))
    if "limits" in look:
        panel.thresholds(_thresholds(*look["limits"]))
    return panel


def _thresholds(orange: float, red: float) -> Builder[models.ThresholdsConfig]:
    rising = [(None, "green"), (orange, "orange"), (red, "red")]
    falling = [(None, "red"), (red, "orange"), (orange, "green")]
    steps = [
        models.Threshold(value=value, color=color)
        for value, color in (rising if red > orange else falling)
    ]
    config = builders.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE)
    return config.steps(steps)


def _metrics(
    queries: Sequence[Query], form: PromQueryFormat = PromQueryFormat.TIME_SERIES
) -> list[Builder[Dataquery]]:
    targets: list[Builder[Dataquery]] = []
    for index, query in enumerate(queries):
        target = prometheus.Dataquery().expr(query.expr).ref_id(_ref(index))
        target = target.datasource(PROMETHEUS).format(form).exemplar(query.exemplar)
        target = target.legend_format(query.legend or "__auto")
        targets.append(target.instant() if query.now else target.range())
    return targets


def _logs(queries: Sequence[Query]) -> list[Builder[Dataquery]]:
    targets: list[Builder[Dataquery]] = []
    for index, query in enumerate(queries):
        target = loki.Dataquery().expr(query.expr).ref_id(_ref(index))
        target = target.datasource(LOKI).query_type("range")
        targets.append(target.legend_format(query.legend))
    return targets
