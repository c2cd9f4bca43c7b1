"""The monitoring charts get the values they should, and a plain scrape works."""

import itertools
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.observability.log_lines import json_line
from tests.support.chart import ROOT, need_tool, only, render
from tests.support.loki import loki_config, pipeline_stages

FOLDER = ROOT / "helm" / "monitoring"
CHARTS = os.environ.get("MONITORING_CHARTS", "")
FILES = {
    path.stem.removesuffix("-values"): path for path in FOLDER.glob("*-values.yaml")
}
REPLACED = {"loki-stack": {"prometheus.alertmanager.persistentVolume"}}
"""Keys that only earlier versions of a chart read; kept for those who have them."""

each_file = pytest.mark.parametrize("chart", sorted(FILES))


def values(chart: str) -> dict[str, Any]:
    """Read our values of *chart*."""
    loaded: dict[str, Any] = yaml.safe_load(FILES[chart].read_text())
    return loaded


def node_ports(node: Any) -> Iterator[int]:
    """Walk over every `nodePort` below *node*."""
    if isinstance(node, dict):
        for name, part in node.items():
            if name == "nodePort":
                yield part
            else:
                yield from node_ports(part)


def relabel(rules: list[dict[str, Any]], labels: dict[str, str]) -> dict[str, str]:
    """Apply relabel rules as Prometheus does; an empty result is a dropped target."""
    labels = dict(labels)
    for rule in rules:
        value = ";".join(labels.get(name, "") for name in rule["source_labels"])
        found = re.fullmatch(rule.get("regex", "(.*)"), value)
        action = rule["action"]
        if (action == "keep" and not found) or (action == "drop" and found):
            return {}
        if action == "replace" and found:
            template = re.sub(r"\$(\d)", r"\\\1", rule.get("replacement", "$1"))
            labels[rule["target_label"]] = found.expand(template)
    return labels


def pod_labels(*, address: str = "10.1.2.3", **changes: str) -> dict[str, str]:
    """Make the labels that Prometheus discovers for a pod of the chart."""
    metadata = only(render(), "Deployment")["spec"]["template"]["metadata"]
    found = {
        f"__meta_kubernetes_pod_{kind}_{re.sub(r'[^a-zA-Z0-9_]', '_', name)}": value
        for kind, part in (
            ("annotation", metadata["annotations"]),
            ("label", metadata["labels"]),
        )
        for name, value in part.items()
    }
    return {
        "__address__": f"{address}:8080",
        "__scheme__": "http",
        "__metrics_path__": "/metrics",
        "job": "kubernetes-pods",
        "__meta_kubernetes_namespace": "httpserver",
        "__meta_kubernetes_pod_name": "httpserver-1",
        "__meta_kubernetes_pod_node_name": "node1",
        "__meta_kubernetes_pod_ip": address,
        "__meta_kubernetes_pod_phase": "Running",
        **found,
        **changes,
    }


@pytest.fixture
def rules() -> list[dict[str, Any]]:
    """Read the relabel rules of the scrape job."""
    (job,) = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())["scrape_configs"]
    found: list[dict[str, Any]] = job["relabel_configs"]
    return found


def test_classic_stack_is_the_one_that_was_asked_for() -> None:
    """Grafana and Prometheus are on, without volumes and with node ports."""
    stack = values("loki-stack")
    prometheus = stack["prometheus"]

    assert stack["grafana"]["enabled"] is True
    assert prometheus["enabled"] is True
    assert prometheus["server"]["persistentVolume"]["enabled"] is False
    assert prometheus["alertmanager"]["persistentVolume"]["enabled"] is False
    assert prometheus["alertmanager"]["persistence"]["enabled"] is False
    assert stack["grafana"]["service"]["type"] == "NodePort"
    assert prometheus["server"]["service"]["type"] == "NodePort"


@each_file
def test_node_ports_are_allowed_and_used_once(chart: str) -> None:
    """Node ports are within Kubernetes' range, and not those of the service itself."""
    ports = list(node_ports(values(chart)))
    taken = yaml.safe_load((ROOT / "helm/httpserver/values-dev.yaml").read_text())

    assert len(set(ports)) == len(ports)
    assert all(30_000 <= port <= 32_767 for port in ports)
    assert taken["service"]["nodePort"] not in ports


def test_operator_takes_monitors_of_every_release() -> None:
    """No label is needed at our ServiceMonitor for it to be found."""
    spec = values("kube-prometheus-stack")["prometheus"]["prometheusSpec"]

    assert spec["serviceMonitorSelectorNilUsesHelmValues"] is False
    assert spec["podMonitorSelectorNilUsesHelmValues"] is False


def test_grafana_and_alloy_know_where_loki_is() -> None:
    """The data source and the shipper name the Service of the Loki release."""
    sources = sources_of("kube-prometheus-stack")
    content = values("alloy")["alloy"]["configMap"]["content"]

    assert sources["Loki"]["url"] == "http://loki:3100"
    assert f"{sources['Loki']['url']}/loki/api/v1/push" in content


def sources_of(chart: str) -> dict[str, dict[str, Any]]:
    """Return the data sources that our values add, by name."""
    stack = values(chart)
    if chart == "kube-prometheus-stack":
        sources = stack["grafana"]["additionalDataSources"]
        exemplars = stack["grafana"]["sidecar"]["datasources"]
        found = exemplars["exemplarTraceIdDestinations"]
        graph = {"name": found["traceIdLabelName"], **found}
        prometheus = {"exemplarTraceIdDestinations": [graph]}
    else:
        (extra,) = stack["grafana"]["extraObjects"]
        sources = yaml.safe_load(extra["data"]["tempo-datasource.yaml"])["datasources"]
        loki = stack["loki"]["datasource"]
        loki |= {"name": "Loki", "jsonData": yaml.safe_load(loki["jsonData"])}
        sources.append(loki)
        prometheus = yaml.safe_load(stack["prometheus"]["datasource"]["jsonData"])
    sources.append({"name": "Prometheus", "jsonData": prometheus})
    return {each["name"]: each for each in sources}


@pytest.mark.parametrize("chart", ["kube-prometheus-stack", "loki-stack"])
def test_line_and_point_lead_to_the_trace_and_back(chart: str) -> None:
    """The link finds the id in a line as it is written, and names the data source."""
    sources = sources_of(chart)
    (field,) = sources["Loki"]["jsonData"]["derivedFields"]
    (point,) = sources["Prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    back = sources["Tempo"]["jsonData"]["tracesToLogsV2"]
    line = json_line({"event": "request", "trace_id": "4bf92f35", "span_id": "00f0"})
    found = re.search(field["matcherRegex"], line.decode())

    assert found is not None
    assert found[1] == "4bf92f35"
    assert field["url"] == "$${__value.raw}"  # a `$` for Grafana's own
    assert field["datasourceUid"] == point["datasourceUid"] == sources["Tempo"]["uid"]
    assert point["name"] == "trace_id"
    assert back["datasourceUid"] == sources["Loki"]["uid"]
    assert 'trace_id="$${__span.traceId}"' in back["query"]


def test_shippers_make_the_level_a_label_and_take_our_time() -> None:
    """promtail and Alloy do the same with our lines."""
    cri, match = pipeline_stages()
    alloy = values("alloy")["alloy"]["configMap"]["content"]

    assert cri == {"cri": {}}
    assert match["match"]["selector"] == '{app="httpserver"}'
    assert match["match"]["stages"] == [
        {"json": {"expressions": {"level": "level", "timestamp": "timestamp"}}},
        {"timestamp": {"source": "timestamp", "format": "RFC3339Nano"}},
        {"labels": {"level": None}},
    ]
    assert 'expressions = { level = "", timestamp = "" }' in alloy
    assert 'format = "RFC3339Nano"' in alloy
    assert 'values = { level = "" }' in alloy


def test_readme_names_every_file() -> None:
    """Each values file has its install command."""
    text = (FOLDER / "README.md").read_text()

    for path in FOLDER.glob("*.yaml"):
        assert f"helm/monitoring/{path.name}" in text


def test_annotated_pod_is_scraped_at_its_admin_port(
    rules: list[dict[str, Any]],
) -> None:
    """A pod of the chart becomes one target with the operator's labels."""
    target = relabel(rules, pod_labels())

    assert target["__address__"] == "10.1.2.3:9090"
    assert target["__metrics_path__"] == "/metrics"
    assert target["__scheme__"] == "http"
    shown = {name: value for name, value in target.items() if name[:2] != "__"}
    assert shown == {
        "job": "httpserver",
        "namespace": "httpserver",
        "pod": "httpserver-1",
        "node": "node1",
    }


def test_address_of_the_sixth_version_is_bracketed(rules: list[dict[str, Any]]) -> None:
    """An IPv6 pod is reached too."""
    target = relabel(rules, pod_labels(address="fd00::1:2"))

    assert target["__address__"] == "[fd00::1:2]:9090"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("__meta_kubernetes_pod_annotation_prometheus_io_scrape", "false"),
        ("__meta_kubernetes_pod_annotation_prometheus_io_scrape", ""),
        ("__meta_kubernetes_pod_phase", "Succeeded"),
        ("__meta_kubernetes_pod_phase", "Pending"),
    ],
)
def test_pod_that_does_not_ask_or_run_is_dropped(
    rules: list[dict[str, Any]], name: str, value: str
) -> None:
    """Only running pods that ask for it are scraped."""
    assert relabel(rules, pod_labels(**{name: value})) == {}


def test_all_ports_of_a_pod_become_one_target(rules: list[dict[str, Any]]) -> None:
    """Targets of a pod's other ports are copies, which Prometheus drops."""
    results = [
        relabel(rules, pod_labels() | {"__address__": f"10.1.2.3:{port}"})
        for port in (8080, 9090)
    ]

    assert results[0] == results[1]


def test_prometheus_takes_the_configuration() -> None:
    """`promtool check config` finds nothing."""
    done = subprocess.run(
        [need_tool("promtool"), "check", "config", str(FOLDER / "prometheus.yaml")],
        capture_output=True,
        text=True,
        check=False,
    )
    if "field kubernetes_sd_configs not found" in done.stderr:
        pytest.skip("this promtool was built without Kubernetes discovery")

    assert done.returncode == 0, done.stdout + done.stderr


def leaves(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Walk over the paths of every value that is not a map."""
    if isinstance(node, dict) and node:
        for name, part in node.items():
            yield from leaves(part, (*path, name))
    else:
        yield path


def knows(chart: Path, path: tuple[str, ...]) -> bool:
    """Whether *chart*, or the part of it that *path* begins with, reads the value."""
    part = chart / "charts" / path[0]
    if len(path) > 1 and part.is_dir() and knows(part, path[1:]):
        return True
    node = yaml.safe_load((chart / "values.yaml").read_text())
    for depth, name in enumerate(path):
        if not isinstance(node, dict) or name not in node:
            return used(chart, path)
        node = node[name]
        if depth and (node in ({}, [], None) or not isinstance(node, dict)):
            return True
    return True


def used(chart: Path, path: tuple[str, ...]) -> bool:
    """Whether a template names the value, or writes out a map that holds it."""
    texts = [
        template.read_text()
        for template in [chart / "values.yaml", *chart.glob("templates/**/*")]
        if template.suffix in {".yaml", ".tpl", ".txt"}
    ]
    *parents, name = (
        re.escape(f".Values.{one}")
        for one in itertools.accumulate(path, lambda left, right: f"{left}.{right}")
    )
    written = "|".join(
        rf"with {one} }}}}[^{{]*{{{{-? (tpl \()?\(?\. \| toYaml" for one in parents[1:]
    )
    return any(
        re.search(rf"{name}\b", text) or (written and re.search(written, text))
        for text in texts
    )


@pytest.mark.skipif(not CHARTS, reason="MONITORING_CHARTS names no copies of charts")
@each_file
def test_every_key_is_one_the_chart_reads(chart: str) -> None:
    """No key of our values is a word that the chart ignores."""
    unknown = {
        ".".join(path)
        for path in leaves(values(chart))
        if not knows(Path(CHARTS, chart), path)
    }
    old = {
        path
        for path in unknown
        if any(path.startswith(one) for one in REPLACED.get(chart, ()))
    }

    assert unknown - old == set()
    assert len(old) == len(REPLACED.get(chart, ()))


@pytest.mark.skipif(not CHARTS, reason="MONITORING_CHARTS names no copies of charts")
@each_file
def test_chart_renders_with_our_values(chart: str) -> None:
    """The chart takes our values and makes neither volumes nor removed objects."""
    release = {"loki-stack": "loki"}.get(chart, chart)
    manifests = render(FILES[chart], chart=Path(CHARTS, chart), release=release)
    kinds = {manifest["kind"] for manifest in manifests}
    claims = [
        manifest["metadata"]["name"]
        for manifest in manifests
        if manifest["kind"] == "StatefulSet"
        and manifest["spec"].get("volumeClaimTemplates")
    ]
    ports = {
        port["nodePort"]
        for manifest in manifests
        if manifest["kind"] == "Service"
        for port in manifest["spec"]["ports"]
        if "nodePort" in port
    }

    assert not kinds & {"PersistentVolumeClaim", "PodSecurityPolicy"}
    assert claims == []
    assert ports == set(node_ports(values(chart)))


@pytest.mark.skipif(not CHARTS, reason="MONITORING_CHARTS names no copies of charts")
def test_loki_of_the_tests_is_configured_as_the_chart_does_it() -> None:
    """What the tests run Loki with is what the chart makes of our values."""
    manifests = render(FILES["loki"], chart=Path(CHARTS, "loki"), release="loki")
    (rendered,) = (
        yaml.safe_load(each["data"]["config.yaml"])
        for each in manifests
        if each["kind"] == "ConfigMap" and "config.yaml" in each["data"]
    )

    for section, wanted in loki_config("/var/loki").items():
        if isinstance(wanted, dict):
            assert wanted.items() <= rendered[section].items(), section
        else:
            assert wanted == rendered[section]


@pytest.mark.skipif(not CHARTS, reason="MONITORING_CHARTS names no copies of charts")
def test_classic_promtail_gets_our_stages() -> None:
    """The chart puts them into its own scrape job."""
    chart = Path(CHARTS, "loki-stack")
    manifests = render(FILES["loki-stack"], chart=chart, release="loki")
    (secret,) = (
        each["stringData"]["promtail.yaml"]
        for each in manifests
        if each["kind"] == "Secret" and "promtail.yaml" in each.get("stringData", {})
    )
    (job,) = yaml.safe_load(secret)["scrape_configs"]

    assert job["pipeline_stages"] == pipeline_stages()
