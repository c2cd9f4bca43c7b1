"""Every pod that kustomize tree or chart brings keeps the restricted profile."""

import copy

import pytest

from tests.support import chart
from tests.support.kustomize import BUILDS, build
from tests.support.pod_security import pods_of, violations

APPS = [folder for folder in BUILDS if folder.startswith("k8s/")]


def refused(manifests):
    """Return the pods that break a rule, with the rules."""
    pods = pods_of(manifests)
    assert pods
    return {name: rules for name, pod in pods.items() if (rules := violations(pod))}


@pytest.mark.parametrize("folder", APPS)
def test_pods_of_kustomize_are_restricted(folder):
    """No build has a pod that the namespace's label would refuse."""
    assert refused(build(folder)) == {}


@pytest.mark.parametrize("profile", chart.PROFILES, ids=lambda path: path.stem)
def test_pods_of_the_chart_are_restricted(profile):
    """Nor has the chart, its test pods among them."""
    assert refused(chart.render(profile)) == {}


CONTAINER_FAULTS = {
    "privileged": {"privileged": True},
    "allowPrivilegeEscalation": {"allowPrivilegeEscalation": None},
    "runAsNonRoot": {"runAsNonRoot": False},
    "runAsUser": {"runAsUser": 0},
    "seccompProfile": {"seccompProfile": {"type": "Unconfined"}},
    "capabilities.drop": {"capabilities": {"drop": ["NET_RAW"]}},
    "capabilities.add": {"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}},
    "procMount": {"procMount": "Unmasked"},
    "hostProcess": {"windowsOptions": {"hostProcess": True}},
    "seLinuxOptions": {"seLinuxOptions": {"user": "root"}},
    "appArmorProfile": {"appArmorProfile": {"type": "Unconfined"}},
}
POD_FAULTS = {
    "hostNetwork": {"hostNetwork": True},
    "hostPID": {"hostPID": True},
    "hostIPC": {"hostIPC": True},
    "volume root": {"volumes": [{"name": "root", "hostPath": {"path": "/"}}]},
    "sysctls": {"securityContext": {"sysctls": [{"name": "kernel.msgmax"}]}},
}


@pytest.fixture
def pod():
    """The pod of the local overlay, to be spoilt."""
    (spec,) = pods_of(build("k8s/overlays/local")).values()
    return copy.deepcopy(spec)


@pytest.mark.parametrize("kind", ["containers", "initContainers"])
@pytest.mark.parametrize("rule", CONTAINER_FAULTS)
def test_container_that_breaks_a_rule_is_found(pod, rule, kind):
    """The check itself works, for every rule and kind of container."""
    container = copy.deepcopy(pod["containers"][0])
    container["securityContext"] |= CONTAINER_FAULTS[rule]
    pod[kind] = [container]

    assert violations(pod) == [f"{container['name']}: {rule}"]


@pytest.mark.parametrize("rule", POD_FAULTS)
def test_pod_that_breaks_a_rule_is_found(pod, rule):
    """The same for the rules of the pod."""
    assert violations(pod | POD_FAULTS[rule]) == [rule]


@pytest.mark.parametrize("way", ["httpGet", "tcpSocket"])
def test_probe_of_another_host_is_found(pod, way):
    """The kubelet would ask whatever address the pod names."""
    pod["containers"][0]["livenessProbe"] = {way: {"host": "10.0.0.1", "port": 80}}

    assert violations(pod) == ["httpserver: host of a probe or hook"]


def test_pods_of_jobs_are_looked_at_too():
    """A CronJob holds its pod one level deeper."""
    pod = {"containers": []}
    job = {"template": {"spec": pod}}
    manifests = [
        {"kind": "Job", "metadata": {"name": "a"}, "spec": job},
        {
            "kind": "CronJob",
            "metadata": {"name": "b"},
            "spec": {"jobTemplate": {"spec": job}},
        },
        {"kind": "Pod", "metadata": {"name": "c"}, "spec": pod},
        {"kind": "Service", "metadata": {"name": "d"}, "spec": {}},
    ]

    assert pods_of(manifests) == {"Job/a": pod, "CronJob/b": pod, "Pod/c": pod}
