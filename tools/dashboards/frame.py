"""
What all dashboards have in common: variables, annotations, links.

The variables choose the data sources and what is looked at; they go along from one
dashboard to the next. Each choice may be several, or all.
"""

from collections.abc import Mapping, Sequence

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

from tools.dashboards.panels import PROMETHEUS
from tools.dashboards.queries import PODS, SERVICE

__all__ = ["TAG", "dashboard", "text_box"]

TAG = "httpserver"
"""By which the dashboards find each other."""

Variable = Builder[models.VariableModel]
Rows = Mapping[str, Sequence[Builder[models.Panel]]]


def dashboard(
    name: str,
    title: str,
    rows: Rows,
    *,
    description: str,
    variables: Sequence[Variable] = (),
    span: str = "now-1h",
    refresh: str = "30s",
) -> models.Dashboard:
    """
    Return a dashboard; its panels are laid out in the order of *rows*.

    Args:
        name: End of its uid, which never changes: links and bookmarks hold it.
        title: Title.
        rows: Panels by the title of their row.
        description: What it is for.
        variables: Those of this dashboard alone.
        span: From when, as Grafana writes it.
        refresh: How often it is drawn anew.
    """
    made = (
        builders.Dashboard(title)
        .uid(f"httpserver-{name}")
        .description(description)
        .tags([TAG])
        .timezone("browser")
        .time(span, "now")
        .refresh(refresh)
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .variables([*_sources(), *_choices(), *variables])
        .annotations(_annotations())
        .link(_others())
    )
    for row, panels in rows.items():
        made = made.with_row(builders.Row(row))
        for panel in panels:
            made = made.with_panel(panel)
    return _numbered(made.build())


def text_box(name: str, label: str, value: str, description: str) -> Variable:
    """Return a box in which something can be written; *value* is in it at first."""
    box = builders.TextBoxVariable(name).label(label).default_value(value)
    chosen = models.VariableOption(selected=True, text=value, value=value)
    return box.description(description).current(chosen).options([chosen])


def _numbered(made: models.Dashboard) -> models.Dashboard:
    for number, panel in enumerate(made.panels or [], 1):
        panel.id_val = number
    return made


def _sources() -> list[Variable]:
    return [
        builders.DatasourceVariable("prometheus").label("Metrics").type("prometheus"),
        builders.DatasourceVariable("loki").label("Logs").type("loki"),
    ]


def _choices() -> list[Variable]:
    return [
        _choice("namespace", "httpserver_build_info"),
        _choice("job", 'httpserver_build_info{namespace=~"$namespace"}'),
        # `.*`, or a hundred pods would make every query some kilobytes long
        _choice("pod", f"httpserver_build_info{{{SERVICE}}}", every=".*"),
        _choice("route", f"http_requests_total{{{PODS}}}", every=".*"),
    ]


def _choice(name: str, series: str, *, every: str | None = None) -> Variable:
    query = f"label_values({series}, {name})"
    variable = (
        builders.QueryVariable(name)
        .label(name.capitalize())
        .datasource(PROMETHEUS)
        .query(query)
        .definition(query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(multi=True)
        .include_all(include_all=True)
        .current(models.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )
    return variable if every is None else variable.all_value(every)


def _annotations() -> list[Builder[models.AnnotationQuery]]:
    version = f"group by (namespace, version, python) (httpserver_build_info{{{PODS}}}"
    return [
        _annotation(
            "Starts",
            f"time() - process_start_time_seconds{{{PODS}}} < 120",
            color="blue",
            title="{{pod}} started",
        ),
        _annotation(
            "Versions",
            f"{version}) unless {version} offset 5m)",
            color="purple",
            title="version {{version}}",
            tags="namespace,python",
        ),
        _annotation(
            "Alerts",
            f'ALERTS{{{SERVICE},alertstate="firing"}}',
            color="red",
            title="{{alertname}}",
            tags="namespace,severity",
        ),
    ]


def _annotation(
    name: str, expr: str, *, color: str, title: str, tags: str = "namespace"
) -> Builder[models.AnnotationQuery]:
    return (
        builders.AnnotationQuery()
        .name(name)
        .datasource(PROMETHEUS)
        .enable(enable=True)
        .icon_color(color)
        .expr(expr)
        .step("60s")
        .title_format(title)
        .tag_keys(tags)
    )


def _others() -> Builder[models.DashboardLink]:
    return (
        builders.DashboardLink("httpserver")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .icon("external link")
        .keep_time(keep_time=True)
        .include_vars(include_vars=True)
    )
