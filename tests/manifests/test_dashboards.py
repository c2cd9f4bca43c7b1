"""Chart and kustomize tree bring Grafana the same dashboards."""

import json

import pytest

from tests.support.chart import of_kind, render
from tests.support.kustomize import build
from tools.dashboards import FOLDER

TEXTS = {
    f"httpserver-{path.name}": path.read_text(encoding="utf-8").strip()
    for path in FOLDER.glob("*.json")
}


def chart():
    return render(sets=("dashboards.enabled=true",))


def kustomize():
    return build("k8s/tests/monitored")


def dashboards(manifests):
    """Dashboards of the ConfigMaps that a sidecar finds, by file."""
    return {
        file: text.strip()
        for each in of_kind(manifests, "ConfigMap")
        if each["metadata"]["labels"].get("grafana_dashboard") == "1"
        for file, text in each["data"].items()
    }


@pytest.mark.parametrize("manifests", [chart, kustomize])
def test_sidecar_finds_every_dashboard_as_it_was_written(manifests):
    """Nothing of a dashboard is lost in a template, and none is left out."""
    found = dashboards(manifests())

    assert found == TEXTS
    assert all(json.loads(text)["uid"] for text in found.values())


def test_configmaps_of_chart_and_kustomize_have_the_same_names():
    """Whoever changes from one to the other is not left with copies."""
    names = [
        {
            (each["metadata"]["namespace"], each["metadata"]["name"])
            for each in of_kind(manifests, "ConfigMap")
        }
        for manifests in (chart(), kustomize())
    ]

    assert names[0] == names[1]


def test_dashboards_roll_no_pod():
    """They are Grafana's, not the service's."""
    plain, with_them = (
        list(of_kind(manifests, "Deployment")) for manifests in (render(), chart())
    )

    assert plain == with_them
