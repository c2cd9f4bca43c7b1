"""The dashboards' files: up to date, whole, and asking for what exists."""

import itertools
import json
import re

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.support.grafana import asked, interpolated, panels
from tests.unit.observability.test_metrics_reference import documented
from tools.alert_rules import groups
from tools.dashboards import DASHBOARDS, FOLDER, MAY_BE_EMPTY, main, render
from tools.dashboards.slo import (
    AVAILABILITY,
    LATENCY,
    PAGES,
    PROBES,
    SLOW_ON_PURPOSE,
    TICKETS,
)

FILES = {name: FOLDER / f"{name}.json" for name in sorted(DASHBOARDS)}
TEXTS = {name: path.read_text(encoding="utf-8") for name, path in FILES.items()}

NO_METRICS = {"ALERTS", "ALERTS_FOR_STATE"}
"""Series that Prometheus makes itself."""

each_dashboard = pytest.mark.parametrize("name", FILES)


def load(name):
    return json.loads(TEXTS[name])


def series_of(expr: str) -> set[str]:
    """Names of the series that a query selects."""
    return set(re.findall(r"([a-zA-Z_:][\w:]*)\{", re.sub(r'"[^"]*"', '""', expr)))


def test_files_are_those_of_the_code(capsys):
    """Whoever changes tools/dashboards runs `make docs`."""
    assert main(["--check"]) == 0, capsys.readouterr().out
    assert set(render()) == set(FOLDER.glob("*.json"))


@each_dashboard
def test_dashboard_is_one_that_any_grafana_takes(name):
    """No id of one installation, a stable uid, a known schema, sources to choose."""
    dashboard = load(name)
    sources = {
        json.dumps(node, sort_keys=True)
        for panel in panels(dashboard)
        for node in [panel["datasource"], *(t["datasource"] for t in panel["targets"])]
    }

    assert "id" not in dashboard
    assert dashboard["uid"] == f"httpserver-{name}"
    assert 36 <= dashboard["schemaVersion"] <= 42
    assert sources <= {
        '{"type": "prometheus", "uid": "${prometheus}"}',
        '{"type": "loki", "uid": "${loki}"}',
    }


@each_dashboard
def test_library_reads_the_file_as_it_wrote_it(name):
    """Every member has the type that the schema gives it, and none is unknown."""
    read = JSONEncoder().encode(Dashboard.from_json(load(name)))

    again = json.loads(read)
    for link in again["links"]:
        del link["placement"]
    assert again == load(name)


@each_dashboard
def test_panels_do_not_overlap_and_fill_the_grid(name):
    """Each has its own place within 24 columns, and an id of its own."""
    dashboard = load(name)
    ids = [panel["id"] for panel in dashboard["panels"]]
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in dashboard["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(set(ids)) == len(ids)
    assert len(set(cells)) == len(cells)
    assert all(0 <= x < 24 for x, _ in cells)


@each_dashboard
def test_every_panel_says_what_it_shows_and_what_is_good_and_bad(name):
    """Somebody who sees it for the first time at night can tell."""
    for panel in panels(load(name)):
        shows, good, bad = panel["description"].split("\n\n")
        assert shows
        assert good.startswith("**Good:** ")
        assert bad.startswith("**Bad:** ")
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]


@each_dashboard
def test_titles_are_different(name):
    """A panel can be called by its title."""
    titles = [panel["title"] for panel in panels(load(name))]

    assert len(set(titles)) == len(titles)


def test_dashboards_have_the_same_variables_and_lead_to_each_other():
    """What was chosen on one is chosen on the next."""
    wanted = {"prometheus", "loki", "namespace", "job", "pod", "route"}
    for name in FILES:
        dashboard = load(name)
        (link,) = dashboard["links"]
        variables = {each["name"]: each for each in dashboard["templating"]["list"]}

        assert wanted <= variables.keys()
        for each in ("namespace", "job", "pod", "route"):
            assert variables[each]["multi"]
            assert variables[each]["includeAll"]
        assert link["type"] == "dashboards"
        assert set(link["tags"]) <= set(dashboard["tags"])
        assert link["includeVars"]
        assert link["keepTime"]


def test_latency_panels_show_exemplars():
    """A slow point on the graph leads to its trace."""
    latency = [
        target
        for panel in panels(load("overview"))
        for target in panel["targets"]
        if "http_request_duration_seconds_bucket" in target["expr"]
        and panel["type"] in {"timeseries", "heatmap"}
    ]

    assert len(latency) == 4
    assert all(target["exemplar"] for target in latency)


@each_dashboard
def test_every_metric_is_in_the_documentation(name):
    """A panel of a metric that was renamed would be empty for ever."""
    known = {
        metric + suffix
        for metric in documented()
        for suffix in ("", "_bucket", "_sum", "_count")
    }
    found = set(
        itertools.chain.from_iterable(
            series_of(each.expr)
            for each in asked(TEXTS[name])
            if each.source == "prometheus"
        )
    )
    recorded = {each for each in found if ":" in each}

    assert found
    assert found - recorded - NO_METRICS <= known


@each_dashboard
def test_file_fits_into_a_configmap(name):
    """A ConfigMap holds 1 MiB, and `kubectl apply` writes its content twice."""
    assert len(TEXTS[name].encode()) < 200 * 1024


def test_objectives_are_those_of_the_rules():
    """What the dashboards draw is what the alerts judge by."""
    rules = [rule for group in groups() for rule in group["rules"]]
    recorded = {rule["record"]: rule["expr"] for rule in rules if "record" in rule}
    alerts = "".join(rule["expr"] for rule in rules if "alert" in rule)
    names = set().union(*(series_of(each.expr) for each in asked(TEXTS["slo"])))

    assert {name for name in names if ":" in name} <= recorded.keys()
    for name, objective in (("availability", AVAILABILITY), ("latency", LATENCY)):
        share = f"namespace_job:slo_{name}_errors:ratio_rate"
        assert f'route!~"{PROBES}"' in recorded[f"{share}5m"]
        for windows in (PAGES, TICKETS):
            for window, burn in windows.items():
                limit = re.escape(f"> {burn:g} * (1 - {objective:g})")
                assert re.search(rf"{share}{window}\{{[^}}]*\}} {limit}", alerts)
    assert f'route!~"{SLOW_ON_PURPOSE}"' in recorded[f"{share}5m"]


def test_what_may_be_empty_is_there_and_explained():
    """The list is kept near zero, and names nothing that is gone."""
    names = {each.where for text in TEXTS.values() for each in asked(text)}

    assert MAY_BE_EMPTY.keys() <= names
    assert len(MAY_BE_EMPTY) <= 6
    assert all(MAY_BE_EMPTY.values())


def test_old_file_is_found_and_nothing_is_written(tmp_path, monkeypatch, capsys):
    """`--check` is for a gate."""
    old = {tmp_path / "overview.json": "{}"}
    monkeypatch.setattr("tools.dashboards.writing.render", lambda: old)

    assert main(["--check"]) == 1
    assert capsys.readouterr().out == "old: overview.json\n"
    assert main([]) == 0
    assert (tmp_path / "overview.json").read_text() == "{}"
    assert main(["--check"]) == 0


def test_chosen_values_are_written_as_grafana_writes_them():
    """Braces of a route's template are no quantifiers."""
    values = {"route": ["/user/{name}", "/"], "job": ["httpserver"], "all": ".*"}

    assert (
        interpolated('{route=~"$route",job=~"${job}",a=~"$all"}', values)
        == r'{route=~"(/user/\\{name\\}|/)",job=~"httpserver",a=~".*"}'
    )
