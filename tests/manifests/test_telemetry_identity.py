"""Pods tell OpenTelemetry who they are."""

import re

import pytest
from opentelemetry.sdk.resources import OTELResourceDetector

from tests.support import chart, kustomize

ATTRIBUTES = "OTEL_RESOURCE_ATTRIBUTES"

FIELDS = {
    "k8s.namespace.name": "metadata.namespace",
    "k8s.node.name": "spec.nodeName",
    "k8s.pod.name": "metadata.name",
    "k8s.pod.uid": "metadata.uid",
}


def environment(manifests):
    """The variables of the service's container, in their order."""
    pod = kustomize.pod_template(manifests)["spec"]
    return {each["name"]: each for each in pod["containers"][0]["env"]}


def as_the_kubelet(variables):
    """The values that a container gets, each field's path standing for its value."""
    values = {}
    for name, each in variables.items():
        field = each.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
        known = re.sub(
            r"\$\((\w+)\)",
            lambda found: values[found[1]],  # of those before it alone
            each.get("value", ""),
        )
        values[name] = field or known
    return values


@pytest.mark.parametrize("way", ["chart", "kustomize"])
def test_pod_names_itself_in_every_trace(way, monkeypatch):
    """As the kubelet fills it in, and OpenTelemetry reads it."""
    manifests = chart.render() if way == "chart" else kustomize.build("k8s/base")
    value = as_the_kubelet(environment(manifests))[ATTRIBUTES]
    monkeypatch.setenv(ATTRIBUTES, value)

    assert dict(OTELResourceDetector().detect().attributes) == FIELDS


def test_attributes_of_the_user_come_first():
    """Twice the same name would be refused, or the last would win without a word."""
    sets = (f'extraEnv=[{{"name":"{ATTRIBUTES}","value":"team=a"}}]',)
    variables = environment(chart.render(sets=sets))

    assert list(variables) == [ATTRIBUTES]
    assert variables[ATTRIBUTES]["value"] == "team=a"
