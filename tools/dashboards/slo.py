"""
The objectives: what was promised, how much of the error budget is left, how fast it
goes.

Burn rates come from the recording rules, whose windows the alerts use too. What is left
of the budget is weighed by requests, not by time: an hour of errors at night costs less
than one at noon. It is the recorded share, times the recorded requests, over the whole
window, one sample every minute.

Source: https://sre.google/workbook/alerting-on-slos/, section 6.
"""

from collections.abc import Sequence

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

from tools.dashboards import frame
from tools.dashboards.panels import graph, number, table
from tools.dashboards.queries import SERVICE, Query

__all__ = [
    "AVAILABILITY",
    "LATENCY",
    "PAGES",
    "PROBES",
    "SLOW_ON_PURPOSE",
    "TICKETS",
    "WINDOW",
    "dashboard",
]

AVAILABILITY = 0.999
"""Share of the requests that shall not be answered with 5xx."""

LATENCY = 0.99
"""Share of the requests that shall be answered within 2.5 s: the rules count them."""

WINDOW = "30d"
"""For which the objectives hold."""

PAGES = {"5m": 14.4, "1h": 14.4, "30m": 6.0, "6h": 6.0}
"""Burn rates that wake somebody, by window: 2 % of the budget in 1 h, 5 % in 6 h."""

TICKETS = {"2h": 3.0, "1d": 3.0, "6h": 1.0, "3d": 1.0}
"""Burn rates that somebody looks at in the morning: 10 % in 1 d, 10 % in 3 d."""

PROBES = "/livez|/healthz|/readyz|/startupz|/latency"
"""Routes that no objective counts, as in the rules."""

SLOW_ON_PURPOSE = "/delay/.*"
"""Routes that the objective of latency does not count: as slow as clients ask."""

Panels = Sequence[Builder[models.Panel]]


def dashboard() -> models.Dashboard:
    """Return the dashboard of the objectives."""
    return frame.dashboard(
        "slo",
        "httpserver / objectives",
        {
            "Availability: requests that are not answered with 5xx": _objective(
                "availability",
                "Availability",
                "of the requests were not answered with 5xx",
            ),
            "Latency: requests that are answered within 2.5 s": _objective(
                "latency", "Fast enough", "of the requests were answered within 2.5 s"
            ),
            "Where the budget goes": _routes(),
        },
        description=(
            "Objectives, error budgets over 30 days and burn rates, from the recording "
            "rules. A Prometheus that keeps less than 30 days shows what it has."
        ),
        variables=[
            frame.text_box(
                f"{name}_objective",
                f"{name.capitalize()} objective",
                f"{value:g}",
                "Share of the requests; the alerts have their own.",
            )
            for name, value in (("availability", AVAILABILITY), ("latency", LATENCY))
        ],
        span="now-6h",
        refresh="5m",
    )


def _objective(name: str, title: str, meaning: str) -> Panels:
    failed = _failed(name)
    return [
        number(
            f"{title}, {WINDOW}",
            Query(f"1 - {failed}", "{{namespace}}", now=True),
            decimals=3,
            width=4,
            height=8,
            shows=f"Share {meaning}, over {WINDOW}.",
            good="Above the objective that is written in the box above.",
            bad="Below it: the promise is broken; no risky change before it is back.",
            unit="percentunit",
        ),
        number(
            f"Budget left, {name}",
            Query(_left(name), "{{namespace}}", now=True),
            decimals=1,
            width=4,
            height=8,
            shows=f"What is left of the errors that the objective allows in {WINDOW}.",
            good="More than what is left of the window.",
            bad="Below 25 %: slow down with changes. Below 0: the objective is missed.",
            unit="percentunit",
            limits=(0.5, 0.25),
        ),
        graph(
            f"Budget left over time, {name}",
            Query(_left(name), "{{namespace}}"),
            width=16,
            shows=f"The budget of the {WINDOW} before each moment.",
            good="Level, or rising as old errors leave the window.",
            bad="A cliff: an outage. A steady slope that meets 0: see the burn rates.",
            unit="percentunit",
        ),
        _burns(name, "page", PAGES, (6.0, 14.4)),
        _burns(name, "ticket", TICKETS, (1.0, 3.0)),
    ]


def _burns(
    name: str, what: str, windows: dict[str, float], limits: tuple[float, float]
) -> Builder[models.Panel]:
    return graph(
        f"Burn rate, {name}, {what}",
        *(
            Query(
                f"namespace_job:slo_{name}_errors:ratio_rate{window}{{{SERVICE}}}"
                f" / (1 - ${name}_objective)",
                f"{{{{namespace}}}} {window}, {what} above {burn:g}",
            )
            for window, burn in windows.items()
        ),
        width=12,
        limits=limits,
        shows="How many times faster than allowed the budget is used up, in windows of "
        "different length; at 1 it lasts exactly the 30 days.",
        good="Below 1.",
        bad="A short and a long window of the same threshold above it: the alert "
        "fires.",
        unit="none",
    )


def _routes() -> Panels:
    routes = f'{{{SERVICE},route=~"$route"}}'
    requests = f"namespace_job_route:http_requests:rate5m{routes}"
    errors = f"namespace_job_route:http_request_errors:ratio_rate5m{routes}"
    return [
        graph(
            "Errors per second, by route",
            Query(f"topk(10, {requests} * {errors})", "{{namespace}} {{route}}"),
            stacked=True,
            shows="Answers with 5xx per second: which route uses the budget up.",
            good="0.",
            bad="The highest one is where to look first.",
            unit="reqps",
        ),
        graph(
            "Share of errors, by route",
            Query(f"topk(10, {errors})", "{{namespace}} {{route}}"),
            shows="Share of each route's requests that were answered with 5xx.",
            good="0.",
            bad="High on a route that few ask: little budget, yet a broken route.",
            unit="percentunit",
            limits=(0.001, 0.01),
        ),
        graph(
            "Quantiles by route",
            *(
                Query(
                    f"namespace_job_route:http_request_duration_seconds:p{q}_5m{routes}",
                    f"{{{{namespace}}}} {{{{route}}}} p{q}",
                )
                for q in (50, 90, 99)
            ),
            shows="Seconds, as the rules record them.",
            good="Below 2.5 s.",
            bad="p99 above 2.5 s: that route uses the latency budget up.",
            unit="s",
            limits=(2.1, 2.5),
        ),
        graph(
            "In flight",
            Query(
                f"namespace_job:http_requests_in_flight:sum{{{SERVICE}}}",
                "{{namespace}}",
            ),
            shows="Requests that are being answered, of all pods.",
            good="It follows the requests.",
            bad="It grows and the requests do not: answers take longer.",
            unit="none",
        ),
        table(
            "Alerts",
            {
                "Since it began": (
                    Query(
                        "max by (alertname, severity, namespace, alertstate)"
                        f" (ALERTS{{{SERVICE}}} * ignoring (alertstate) group_left ()"
                        f" (time() - ALERTS_FOR_STATE{{{SERVICE}}}))",
                        now=True,
                    ),
                    "s",
                )
            },
            rows=["alertname", "severity", "namespace", "alertstate"],
            width=16,
            shows="Alerts of the service, pending ones too.",
            good="Empty.",
            bad="Each row has a runbook in docs/runbooks.",
            unit="s",
        ),
    ]


def _failed(name: str) -> str:
    """Return the share of failed requests over the window, weighed by requests."""
    uncounted = f"{PROBES}|{SLOW_ON_PURPOSE}" if name == "latency" else PROBES
    counted = f'{SERVICE},route!~"{uncounted}"'
    requests = (
        "sum by (namespace, job)"
        f" (namespace_job_route:http_requests:rate5m{{{counted}}})"
    )
    share = f"namespace_job:slo_{name}_errors:ratio_rate5m{{{SERVICE}}}"
    failed = f"sum_over_time(({share} * on (namespace, job) {requests})[{WINDOW}:1m])"
    return f"({failed} / sum_over_time({requests}[{WINDOW}:1m]))"


def _left(name: str) -> str:
    return f"1 - {_failed(name)} / (1 - ${name}_objective)"
