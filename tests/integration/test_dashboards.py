"""Every query of the dashboards, asked of a real Prometheus and a real Loki."""

import json
import math
import shutil
import time
from datetime import UTC, datetime

import pytest

from tests.support.busy_service import (
    LABELS,
    PAST,
    PODS,
    busy_service,
    use,
    watching,
)
from tests.support.grafana import asked, has_data, interpolated
from tests.support.loki import shipped
from tests.support.waiting import until
from tools.dashboards import DASHBOARDS, FOLDER

TEXTS = {
    name: (FOLDER / f"{name}.json").read_text(encoding="utf-8") for name in DASHBOARDS
}

LIMIT = 60.0
"""Seconds within which every panel must show something."""

ALL = {
    "namespace": [LABELS["namespace"], PAST],
    "job": ["httpserver"],
    "pod": ".*",
    "route": ".*",
    "availability_objective": "0.999",
    "latency_objective": "0.99",
    "request_id": "",
    "slower_than": "1",
    "__rate_interval": "5s",
    "__range": "300s",
    "__auto": "5m",
}
"""Variables with "all" chosen, at a scrape each second."""

FEW = ALL | {
    "pod": PODS,
    "route": ["/", "/hello", "/status/{code}", "/version"],
}
"""Variables with some values chosen: those with braces are no expressions."""

HISTORY = ALL | {"namespace": [PAST]}


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """A service that has done everything, and a Prometheus that has seen it."""
    for program in ("prometheus", "promtool"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not on PATH")
    folder = tmp_path_factory.mktemp("prometheus")
    with busy_service(folder) as service, watching(service, folder) as prometheus:
        until(lambda: prometheus.value("sum(up)") == 2)
        use(service)
        until(lambda: prometheus.query('http_requests_total{status="429"}'))
        use(service)
        (folder / "settings.yaml").write_text("log: {level: nonsense}\n")
        service.await_event("settings_reload_failed")
        yield service, prometheus


@pytest.fixture(scope="module")
def prometheus(watched):
    return watched[1]


@pytest.fixture(scope="module")
def loki(watched, tmp_path_factory):
    """A Loki that has got the log of the service from the shipper."""
    service, _ = watched
    written = list(service.written)
    at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    text = "".join(f"{at} stdout F {line}" for line in written)
    folder = tmp_path_factory.mktemp("loki")
    with shipped(folder, text, app="httpserver", **LABELS) as server:
        until(lambda: len(server.lines('{app="httpserver"}')) == len(written))
        yield server


def empty(prometheus, name, values):
    """What shows nothing, by its place, once everything has had its time."""
    left = [each for each in asked(TEXTS[name]) if each.source == "prometheus"]
    end = time.monotonic() + LIMIT
    while left and time.monotonic() < end:
        left = [each for each in left if not has_data(prometheus, each, values)]
        if left:
            time.sleep(0.5)
    return {each.where: interpolated(each.expr, values) for each in left}


@pytest.mark.parametrize("name", sorted(DASHBOARDS))
@pytest.mark.parametrize("values", [ALL, FEW], ids=["all", "few"])
def test_every_query_returns_data(prometheus, name, values):
    """No panel, annotation or variable is empty when the service is used."""
    assert empty(prometheus, name, values) == {}


def test_heat_map_has_a_row_for_each_tenth_of_the_delay(prometheus):
    """Buckets between 0 and 2 s, as the delay of `/` needs them."""
    (heat,) = (each for each in asked(TEXTS["overview"]) if each.where == "Latency")

    course = prometheus.course(interpolated(heat.expr, ALL), seconds=60, step=5)
    rows = {float(labels["le"]) for labels, _ in course}

    assert {round(tenth / 10, 1) for tenth in range(1, 21)} <= rows


def series(prometheus, name, title):
    """Labels and largest value of what a panel draws."""
    return [
        (labels, max((each for each in values if not math.isnan(each)), default=0.0))
        for each in asked(TEXTS[name])
        if each.where == title
        for labels, values in prometheus.course(
            interpolated(each.expr, ALL), seconds=300, step=1
        )
    ]


@pytest.mark.parametrize(
    ("name", "title", "wanted"),
    [
        ("overview", "Requests by route", {"route": "/hello"}),
        ("overview", "Errors by route", {"route": "/version"}),
        ("overview", "Requests by status", {"status": "429"}),
        ("overview", "Refusals by reason", {"reason": "in_flight"}),
        ("overview", "Refusals by reason", {"reason": "throttle"}),
        ("overview", "Logins", {"result": "wrong"}),
        ("overview", "Faults on purpose", {"kind": "status"}),
        ("overview", "Control endpoints refused", {"reason": "wrong"}),
        ("overview", "Text messages", {"result": "sent"}),
        ("overview", "p99 by route", {"route": "/"}),
        ("runtime", "Reloads of the settings", {"result": "failed"}),
        ("runtime", "Time left of the certificates", {"certificate": "server"}),
        ("slo", "Errors per second, by route", {"route": "/status/{code}"}),
        ("logs", "Sampled away", {"level": "info"}),
    ],
)
def test_what_was_done_is_drawn(prometheus, name, title, wanted):
    """The panel shows it, and more than nothing of it."""
    until(
        lambda: any(
            wanted.items() <= labels.items() and value > 0
            for labels, value in series(prometheus, name, title)
        )
    )


def access_line(service, route):
    """The first line of the route."""
    return next(each for each in service.log if each.get("route") == route)


@pytest.mark.parametrize("chosen", ["all", "one"])
def test_every_query_of_the_log_returns_lines(watched, loki, chosen):
    """Loki takes each query and finds what the service wrote."""
    line = access_line(watched[0], "/delay/{seconds}")
    one = {"request_id": line["request_id"], "route": [line["route"]]}
    values = ALL if chosen == "all" else ALL | one
    left = {
        interpolated(each.expr, values)
        for text in TEXTS.values()
        for each in asked(text)
        if each.source == "loki"
    }

    assert len(left) >= 9
    assert [expr for expr in left if not loki.ask(expr)] == []


def test_one_request_is_found_by_its_id(watched, loki):
    """The box leads to the access line of that request alone."""
    line = access_line(watched[0], "/version")
    (search,) = (
        each
        for each in asked(TEXTS["logs"])
        if each.where == "Lines with the request id"
    )
    values = ALL | {"request_id": line["request_id"]}

    found = loki.lines(interpolated(search.expr, values))

    assert [json.loads(text)["path"] for _, text in found] == ["/version"]


@pytest.mark.parametrize("title", ["p50 by route", "p99 by route", "Latency"])
def test_points_of_the_latency_lead_to_traces(prometheus, title):
    """Prometheus keeps exemplars for the panel's query, each with a trace."""
    (latency,) = (each for each in asked(TEXTS["overview"]) if each.where == title)

    expr = interpolated(latency.expr, ALL)
    found = until(lambda: prometheus.exemplars(expr, seconds=300))

    assert all(len(labels["trace_id"]) == 32 for labels in found)


@pytest.mark.parametrize("objective", ["availability", "latency"])
def test_budget_is_weighed_by_requests(prometheus, objective):
    """0.2 % of 10/s and none of 30/s are 0.05 % of all: by time it would be 0.1 %."""
    (left,) = (
        each
        for each in asked(TEXTS["slo"])
        if each.where == f"Budget left, {objective}"
    )
    allowed = 1 - float(ALL[f"{objective}_objective"])

    value = prometheus.value(interpolated(left.expr, HISTORY))

    # the last sample counts for five minutes more, until Prometheus forgets it
    assert value == pytest.approx(1 - 0.0005 / allowed, abs=0.03)
