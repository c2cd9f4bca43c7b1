"""
The log: what went wrong, the slow requests, and everything of one request by its id.

Lines are the JSON that the service writes; the shipper gives the labels `app`,
`namespace` and `pod` (helm/monitoring/alloy-values.yaml, promtail's defaults).
"""

from collections.abc import Sequence

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

from tools.dashboards import frame
from tools.dashboards.panels import graph, lines, log_graph
from tools.dashboards.queries import LINES, PODS, REQUEST_LINES, Query, rate

__all__ = ["dashboard"]

Panels = Sequence[Builder[models.Panel]]

SEVERE = 'level=~"error|critical"'


def dashboard() -> models.Dashboard:
    """Return the dashboard of the log."""
    return frame.dashboard(
        "logs",
        "httpserver / logs",
        {
            "How much": _volume(),
            "One request": _search(),
            "What went wrong": _errors(),
            "Slow requests": _slow(),
        },
        description=(
            "Lines by level, error lines, slow requests, and every line of one request."
        ),
        variables=[
            frame.text_box(
                "request_id",
                "Request id",
                "",
                "Any text that a line must hold: a request id, a trace id, a path.",
            ),
            frame.text_box("slower_than", "Slower than (s)", "1", "In seconds."),
        ],
    )


def _volume() -> Panels:
    return [
        log_graph(
            "Lines by level",
            _count(f"{LINES} | json", "level"),
            shows="Log lines, by level.",
            good="Nearly all `info`.",
            bad="`error` or `critical`: see the lines below.",
            unit="none",
        ),
        log_graph(
            "Requests by route",
            _count(REQUEST_LINES, "route"),
            shows="Access lines, by route; probes write none.",
            good="The same as on the overview.",
            bad="Fewer than on the overview: lines are sampled or lost on the way.",
            unit="none",
        ),
        log_graph(
            "Requests by status",
            _count(REQUEST_LINES, "status"),
            shows="Access lines, by status.",
            good="Nearly all 2xx.",
            bad="5xx: copy the request id of such a line into the box above.",
            unit="none",
        ),
        log_graph(
            "Bytes by pod",
            Query(f"sum by (pod) (bytes_over_time({LINES}[$__auto]))", "{{pod}}"),
            shows="Bytes of the log, by pod.",
            good="Alike for all pods.",
            bad="One pod writes many times more: a loop of errors, or `debug`.",
            unit="bytes",
        ),
        log_graph(
            "Warnings and errors by event",
            _count(f'{LINES} | json | level=~"warning|error|critical"', "event"),
            shows="Lines above `info`, by event.",
            good="None.",
            bad="An event that was not there before the last rollout.",
            unit="none",
        ),
        graph(
            "Sampled away",
            Query(
                rate("httpserver_log_lines_dropped_total", by="level", where=PODS),
                "{{level}}",
            ),
            stacked=True,
            shows="Lines per second that `log.sampling` left out, by level; the next "
            "line of the same kind tells how many.",
            good="0, or the floods that you mean to thin out.",
            bad="`error`: something fails so often that not every line is written.",
            unit="cps",
        ),
    ]


def _search() -> Panels:
    return [
        lines(
            "Lines with the request id",
            Query(f"{LINES} |= `$request_id`"),
            shows="Every line with the text of the box above; all lines while it is "
            "empty. The client has the id from the header X-Request-Id.",
            good="The access line, and what the handler wrote on the way.",
            bad="Nothing: another time range, or the line was sampled away.",
            unit="none",
        )
    ]


def _errors() -> Panels:
    return [
        lines(
            "Error lines",
            Query(f"{LINES} | json | {SEVERE}"),
            shows="Lines of level `error` and `critical`, with their traces.",
            good="None.",
            bad="`unhandled_error`: a defect; the trace names the line of code.",
            unit="none",
        )
    ]


def _slow() -> Panels:
    longest = f"max_over_time({REQUEST_LINES} | unwrap duration [$__auto]) by (route)"
    return [
        log_graph(
            "Slowest request by route",
            Query(longest, "{{route}}"),
            width=24,
            shows="Seconds of the slowest request of each step, by route.",
            good="`/` near 2 s, the others far below.",
            bad="Above 2.5 s: see its line below.",
            unit="s",
        ),
        lines(
            "Slow requests",
            Query(f"{REQUEST_LINES} | duration > $slower_than"),
            shows="Access lines of requests that took longer than the box above says.",
            good="`/` alone, and not above 2 s.",
            bad="Others, or above 2.5 s: their request or trace id leads on.",
            unit="none",
        ),
    ]


def _count(selected: str, label: str) -> Query:
    return Query(
        f"sum by ({label}) (count_over_time({selected} [$__auto]))", f"{{{{{label}}}}}"
    )
