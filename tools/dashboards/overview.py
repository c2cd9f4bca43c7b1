"""
The service as its clients have it: how much is asked, what fails, how long it takes,
and how near it is to its limits. The first dashboard to open.
"""

from collections.abc import Sequence

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

from tools.dashboards import frame, saturation
from tools.dashboards.panels import graph, heat, number, table
from tools.dashboards.queries import (
    PODS,
    SERVICE,
    Query,
    increase,
    mean,
    quantile,
    rate,
    share,
)

__all__ = ["dashboard"]

REQUESTS = "http_requests_total"
DURATION = "http_request_duration_seconds"
FAILED = 'status=~"5.."'
RANGE = "$__range"

Panels = Sequence[Builder[models.Panel]]


def dashboard() -> models.Dashboard:
    """Return the overview."""
    return frame.dashboard(
        "overview",
        "httpserver / overview",
        {
            "Now": _now(),
            "Requests": _requests(),
            "Latency": _latency(),
            "Saturation": saturation.saturation(),
            "Sizes": saturation.sizes(),
            "What clients and operators do": saturation.doings(),
        },
        description=(
            "Rate, errors and duration of the requests by route, and how near the "
            "service is to its limits. Look here first."
        ),
    )


def _now() -> Panels:
    return [
        number(
            "Requests",
            Query(rate(REQUESTS)),
            shows="Answered requests per second.",
            good="The usual number for this time of day.",
            bad="A sudden fall: clients do not get here, so look at the ingress.",
            unit="reqps",
        ),
        number(
            "Errors",
            Query(
                f"({rate(REQUESTS, where=_failed())} or vector(0)) / {rate(REQUESTS)}"
            ),
            decimals=2,
            shows="Share of the requests that were answered with 5xx.",
            good="0 %, or below what the objective allows (0.1 %).",
            bad="More than 1 %: see which route and status below, then the error "
            "lines.",
            unit="percentunit",
            limits=(0.001, 0.01),
        ),
        number(
            "p99",
            Query(quantile(0.99, DURATION)),
            shows="Seconds that 99 of 100 requests keep below.",
            good="About 2 s where `/` is asked: it waits up to 2 s by itself.",
            bad="Above 2.5 s, the objective: see the heat map, then the event loop's "
            "lag.",
            unit="s",
            limits=(2.1, 2.5),
        ),
        number(
            "Fullest pod",
            Query(
                f"max(http_requests_in_flight{{{PODS}}}"
                f" / httpserver_in_flight_limit{{{PODS}}})"
            ),
            shows="Requests in flight as a share of the limit, of the fullest pod.",
            good="Far below 100 %.",
            bad="Near 100 %: requests are refused. Add pods, or find what got slow.",
            unit="percentunit",
            limits=(0.5, 0.9),
        ),
        number(
            "Refused",
            Query(rate("httpserver_overload_refusals_total", where=PODS)),
            shows="Requests per second that shedding, throttle and bulkheads refused.",
            good="0.",
            bad="Above 0 for long: the reasons are below, under saturation.",
            unit="reqps",
            limits=(0.1, 10),
        ),
        number(
            "Alerts",
            Query(f'count(ALERTS{{{SERVICE},alertstate="firing"}}) or vector(0)'),
            shows="Alerts that fire.",
            good="0.",
            bad="Any: each names its runbook.",
            unit="none",
            limits=(0.5, 1),
        ),
    ]


def _requests() -> Panels:
    return [
        graph(
            "Requests by route",
            Query(rate(REQUESTS, by="route"), "{{route}}"),
            stacked=True,
            shows="Answered requests per second, by route.",
            good="The usual mixture.",
            bad="One route that grows alone, or `unmatched`: a scanner or a wrong "
            "link.",
            unit="reqps",
        ),
        graph(
            "Errors by route",
            Query(share(REQUESTS, FAILED, by="route"), "{{route}}"),
            shows="Share of each route's requests that were answered with 5xx.",
            good="All at 0.",
            bad="One route: its handler or what it depends on. All: the process.",
            unit="percentunit",
            limits=(0.001, 0.01),
        ),
        graph(
            "Requests by status",
            Query(rate(REQUESTS, by="status"), "{{status}}"),
            stacked=True,
            shows="Answers per second, by status; 499 is a client that did not wait.",
            good="Nearly all 2xx and 3xx.",
            bad="499: too slow. 429, 503: refused. 500: a defect. 504: out of time.",
            unit="reqps",
        ),
        table(
            "Top routes",
            {
                "Requests": (
                    Query(
                        f"topk(15, {increase(REQUESTS, by='route', over=RANGE)})",
                        now=True,
                    ),
                    "short",
                ),
                "Errors": (
                    Query(share(REQUESTS, FAILED, by="route", over=RANGE), now=True),
                    "percentunit",
                ),
                "p50": (_over_range(0.5), "s"),
                "p99": (_over_range(0.99), "s"),
                "Mean answer": (
                    Query(
                        mean("http_response_size_bytes", by="route", over=RANGE),
                        now=True,
                    ),
                    "bytes",
                ),
            },
            rows=["route"],
            shows="The most asked routes of the time that is shown.",
            good="The routes that you expect, with few errors.",
            bad="`unmatched` on top, or a route whose p99 is many times its p50.",
            unit="short",
            width=24,
        ),
    ]


def _latency() -> Panels:
    by_route = [
        graph(
            f"p{q * 100:g} by route",
            Query(quantile(q, DURATION, by="route"), "{{route}}", exemplar=True),
            shows=f"Seconds that {q:.0%} of each route's requests keep below; points "
            "are single requests, which lead to their traces.",
            good=f"`/` at {uniform:g} s, the others at some milliseconds.",
            bad="A route that leaves its usual height; all at once: the event loop.",
            unit="s",
            limits=(2.1, 2.5),
        )
        for q, uniform in ((0.5, 1), (0.9, 1.8), (0.99, 1.98))
    ]
    return [
        heat(
            "Latency",
            Query(increase(f"{DURATION}_bucket", by="le"), "{{le}}", exemplar=True),
            shows="How many requests took how long; points are single requests.",
            good="An even field between 0 and 2 s from `/`, one line at 0 from the "
            "rest.",
            bad="A second band above: some requests wait for something. Cells above 2 "
            "s: the service adds its own time to the delay.",
            unit="s",
        ),
        heat(
            "Random delay of /",
            Query(
                increase("httpserver_random_delay_seconds_bucket", by="le", where=PODS),
                "{{le}}",
            ),
            shows="The delays that `/` chose, between 0 and 2 s: what was asked for, "
            "beside what it took.",
            good="An even field, the same as on the left.",
            bad="Not even: `demo.delay_min` and `demo.delay_max` were changed.",
            unit="s",
        ),
        *by_route,
    ]


def _failed() -> str:
    return f'{PODS},route=~"$route",{FAILED}'


def _over_range(q: float) -> Query:
    return Query(quantile(q, DURATION, by="route", over=RANGE), now=True)
