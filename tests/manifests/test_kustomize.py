"""The kustomize tree: every build is valid, hardened, and agrees with the chart."""

import pytest
import yaml

from service import __version__
from service.settings import Settings
from tests.support import chart
from tests.support.kustomize import BUILDS, build, pod_template, write
from tests.support.scanners import (
    checkov_failures,
    kube_score_complaints,
    schema_complaints,
)

APPS = [folder for folder in BUILDS if folder.startswith("k8s/")]
each_build = pytest.mark.parametrize("folder", BUILDS)
each_app = pytest.mark.parametrize("folder", APPS)


@each_build
def test_objects_fit_the_schemas_of_kubernetes(folder, tmp_path):
    """Every built-in object of every build is valid, without unknown fields."""
    assert schema_complaints(write(folder, tmp_path)) == ""


def test_production_scores_full_marks(tmp_path):
    """All of kube-score's tests pass, the optional ones too."""
    assert kube_score_complaints(write("k8s/overlays/production", tmp_path)) == []


def test_production_fails_no_rule_of_checkov(tmp_path):
    """Not one rule is skipped."""
    write("k8s/overlays/production", tmp_path)

    assert checkov_failures(tmp_path) == []


@each_app
def test_pods_keep_the_restricted_profile(folder):
    """The rules of Pod Security's strictest profile, one by one."""
    pod = pod_template(build(folder))["spec"]

    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    kinds = {kind for volume in pod["volumes"] for kind in volume} - {"name"}
    assert kinds == {"configMap", "secret", "emptyDir"}
    for container in pod["containers"]:
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["privileged"] is False
        assert security["readOnlyRootFilesystem"] is True
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] >= 10001
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not any("hostPort" in port for port in container["ports"])
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False


@each_app
def test_stop_fits_the_grace_period_of_the_pod(folder):
    """The kubelet does not kill what the service's own limits would still end."""
    manifests = build(folder)
    (config,) = (each for each in manifests if each["kind"] == "ConfigMap")
    settings = Settings.model_validate(yaml.safe_load(config["data"]["config.yaml"]))
    grace = pod_template(manifests)["spec"]["terminationGracePeriodSeconds"]

    assert grace > settings.server.hard_limit
    assert settings.server.hard_limit >= (
        settings.server.drain_delay + settings.server.grace_period
    )


def test_local_overlay_is_guaranteed_and_dev_is_burstable():
    """Requests equal limits, unless the overlay says otherwise."""

    def resources(folder):
        return pod_template(build(folder))["spec"]["containers"][0]["resources"]

    local, dev = resources("k8s/overlays/local"), resources("k8s/overlays/dev")

    assert local["requests"] == local["limits"]
    assert dev["requests"]["cpu"] != dev["limits"]["cpu"]


def test_autoscaled_deployment_leaves_the_replicas_to_the_autoscaler():
    """A fixed number would undo each scaling at the next apply."""
    for folder in ("k8s/overlays/production", "k8s/tests/autoscaled"):
        (deployment,) = (e for e in build(folder) if e["kind"] == "Deployment")
        assert "replicas" not in deployment["spec"]


def test_ingress_never_reaches_the_admin_port():
    """Metrics and probes are not for the public."""
    (ingress,) = (e for e in build("k8s/overlays/production") if e["kind"] == "Ingress")
    backends = [
        path["backend"]["service"]
        for rule in ingress["spec"]["rules"]
        for path in rule["http"]["paths"]
    ]

    assert backends == [{"name": "httpserver", "port": {"name": "http"}}]


def test_probes_differ_and_use_the_admin_port():
    """Liveness and readiness ask different questions, on the port that answers."""
    container = pod_template(build("k8s/overlays/local"))["spec"]["containers"][0]
    probes = {
        name: container[f"{name}Probe"]["httpGet"]
        for name in ("startup", "liveness", "readiness")
    }

    assert probes == {
        "startup": {"path": "/startupz", "port": "admin"},
        "liveness": {"path": "/livez", "port": "admin"},
        "readiness": {"path": "/readyz", "port": "admin"},
    }


OURS = [folder for folder in BUILDS if folder != "cert/acme"]
"""Builds of our own objects; an ACME issuer belongs to the whole cluster."""


@pytest.mark.parametrize("folder", OURS)
def test_objects_and_pods_carry_the_recommended_labels(folder):
    """All six, with the version of the package."""
    wanted = {"name", "instance", "component", "version", "part-of", "managed-by"}
    manifests = build(folder)
    labelled = [each["metadata"] for each in manifests]
    labelled += [
        each["spec"]["template"]["metadata"]
        for each in manifests
        if each["kind"] == "Deployment"
    ]

    for metadata in labelled:
        labels = metadata.get("labels", {})
        assert {f"app.kubernetes.io/{name}" for name in wanted} <= labels.keys()
        assert labels["app.kubernetes.io/version"] == __version__


def test_base_runs_the_image_of_the_packages_version():
    """A release changes one number, and this test names the place that was missed."""
    folder = "k8s/tests/gateway"  # the base as it is, without an overlay's image

    (container,) = pod_template(build(folder))["spec"]["containers"]

    assert container["image"] == f"httpserver:{__version__}"


def test_overlays_are_short():
    """An overlay chooses; what it would repeat belongs into a component."""
    for path in (chart.ROOT / "k8s/overlays").glob("*/kustomization.yaml"):
        assert len(path.read_text().splitlines()) <= 30, path


def test_no_private_key_is_in_the_tree():
    """Keys are made in the cluster."""
    for folder in BUILDS:
        for each in build(folder):
            assert each["kind"] != "Secret", folder


def without(mapping, *keys):
    return {key: value for key, value in mapping.items() if key not in keys}


def test_chart_and_base_run_the_same_pod():
    """Chart and kustomize tree do not drift apart."""
    ours = pod_template(build("k8s/overlays/local"))["spec"]
    theirs = chart.only(chart.render(), "Deployment")["spec"]["template"]["spec"]
    mine, other = ours["containers"][0], theirs["containers"][0]

    drift = ("containers", "affinity", "topologySpreadConstraints")
    assert without(ours, *drift) == without(theirs, *drift)
    for container in (mine, other):
        for port in container["ports"]:
            port.setdefault("protocol", "TCP")
    differs = ("image", "imagePullPolicy")
    assert without(mine, *differs) == without(other, *differs)
