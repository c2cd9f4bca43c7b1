"""Values that could not work are refused with a message that says which and why."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from service.settings import Settings
from tests.support.chart import CHART, PROFILES, helm
from tools.chart_schema import config_schema, render, secret_paths

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())

REFUSED = {
    # by the schema: unknown keys, wrong types, values out of bounds
    "unknown key": ("replica=1", "additional properties 'replica' not allowed"),
    "unknown key below": ('image.name="x"', "'name' not allowed"),
    "unknown setting": ('config.log.levle="debug"', "'levle' not allowed"),
    "secret in the settings": (
        'config.login.token_key="x"',
        "'token_key' not allowed",
    ),
    "text for a number": ('replicas="three"', "'/replicas': got string, want integer"),
    "text for a flag": ('ingress.enabled="yes"', "want boolean"),
    "number for a text": ("image.tag=1", "'/image/tag': got number, want string"),
    "wrong level": ('config.log.level="loud"', "value must be one of 'debug', 'info'"),
    "port out of range": ("config.server.ports=[70000]", "maximum: got 70,000"),
    "port 0": ("config.server.ports=[0]", "minimum: got 0, want 1"),
    "negative seconds": ("config.server.drain_delay=-1", "minimum: got -1, want 0"),
    "short token key": ('secret.tokenKey="short"', "does not match pattern"),
    "short control token": ('secret.controlToken="short"', "does not match pattern"),
    "control token in the file": (
        'config.server.admin.control.token="0123456789abcdef"',
        "'token' not allowed",
    ),
    "password, not a hash": ('secret.users={"bob":"secret"}', "does not match pattern"),
    "short digest": ('image.digest="sha256:1"', "does not match pattern"),
    "root": ("securityContext.runAsUser=0", "minimum: got 0, want 1"),
    "wildcard right": (
        'rbac={"create":true,"rules":[{"apiGroups":[""],"resources":["*"],"verbs":["get"]}]}',
        "'not' failed",
    ),
    "selector label": (
        'podLabels={"app.kubernetes.io/name":"x"}',
        "invalid propertyName",
    ),
    "unknown spread": ('spread="wide"', "value must be one of 'soft', 'hard', 'none'"),
    "section that is taken away": ("secret=null", "missing property 'secret'"),
    "list that is taken away": (
        "networkPolicy.adminFrom=null",
        "'/networkPolicy': missing property 'adminFrom'",
    ),
    "host with a path": ('ingress.hosts=[{"host":"example.com/x"}]', "anyOf"),
    # by the templates: two values that do not fit
    "limit below its parts": (
        "config.server.hard_limit=10",
        "config.server.hard_limit must be at least config.server.drain_delay",
    ),
    "delays swapped": (
        "config.demo.delay_min=3",
        "config.demo.delay_min must not be above config.demo.delay_max",
    ),
    "buckets fall": ("config.metrics.buckets=[1, 0.5]", "buckets must rise"),
    "ports clash": (
        "config.server.admin.port=8080",
        "config.server.ports and config.server.admin.port must differ",
    ),
    "TLS ports clash": (
        'config.server.tls={"enabled":true,"ports":[9090]},tls.secretName="x"',
        "config.server.tls.ports must differ",
    ),
    "Service ports clash": (
        'config.server.tls.enabled=true,tls.secretName="x",service.tlsPort=80',
        "service.port and service.tlsPort must differ",
    ),
    "TLS without certificate": (
        "config.server.tls.enabled=true",
        "needs tls.secretName, or certificate.enabled",
    ),
    "Ingress to no TLS port": (
        'ingress.servicePort="https"',
        "ingress.servicePort https needs config.server.tls.enabled",
    ),
    "route to nowhere": ("httpRoute.enabled=true", "needs httpRoute.parentRefs"),
    "certificate of nobody": ("certificate.enabled=true", "certificate.dnsNames"),
    "certificate by nobody": (
        'certificate={"enabled":true,"dnsNames":["example.com"]}',
        "needs certificate.issuerRef.name, or certificate.ca.create",
    ),
    "certificate by two": (
        'certificate={"dnsNames":["a.b"],"enabled":true,"issuerRef":{"name":"x"},"ca":{"create":true}}',
        "not both",
    ),
    "two Secrets": (
        'secret={"existingSecret":"x","users":{"bob":"$argon2id$"}}',
        "not both",
    ),
    "empty Role": ("rbac.create=true", "a Role without rules grants nothing"),
    "metrics without their port": (
        'serviceMonitor.enabled=true,config={"server":{"admin":{"enabled":false}}}',
        "metrics are on the admin port",
    ),
    "bounds swapped": (
        'autoscaling={"enabled":true,"minReplicas":5,"maxReplicas":2}',
        "minReplicas must not be above",
    ),
    "scaling by nothing": (
        'autoscaling={"enabled":true,"targetCPUUtilizationPercentage":null}',
        "needs a target for CPU or memory",
    ),
    "objective of all": (
        "prometheusRule.slo.availability=1",
        "'/prometheusRule/slo/availability': maximum",
    ),
    "bound between buckets": (
        'prometheusRule={"enabled":true,"slo":{"latencyBound":2.2}}',
        "prometheusRule.slo.latencyBound must be one of config.metrics.buckets",
    ),
    "unknown alert": (
        'prometheusRule={"enabled":true,"disabled":["HttpserverDwon"]}',
        "there is no alert HttpserverDwon",
    ),
    "rollout without room": (
        'strategy={"maxSurge":0,"maxUnavailable":0}',
        "no pod could ever be replaced",
    ),
}


@pytest.mark.parametrize(
    ("assignment", "message"), REFUSED.values(), ids=REFUSED.keys()
)
def test_value_is_refused_with_a_readable_message(
    assignment: str, message: str
) -> None:
    """An install stops before the cluster, and says which value is wrong and why."""
    done = helm(
        "install",
        "httpserver",
        str(CHART),
        "--dry-run=client",
        f"--set-json={assignment}",
    )

    assert done.returncode != 0
    assert message in done.stderr


def test_chart_files_are_current() -> None:
    """`python -m tools.chart_schema` would change nothing."""
    for path, text in render().items():
        assert path.read_text() == text, f"run: python -m tools.chart_schema ({path})"


def test_values_are_the_services_defaults_in_its_order() -> None:
    """`config:` in values.yaml is the settings tree, less the secrets."""
    tree = Settings().model_dump(mode="json")
    for path in secret_paths():
        *sections, name = path.split(".")
        owner = tree
        for section in sections:
            owner = owner[section]
        del owner[name]

    assert json.dumps(VALUES["config"]) == json.dumps(tree)


def test_config_schema_says_what_the_settings_schema_says() -> None:
    """Each setting has the type and bounds in the chart that it has in the service."""
    raw = Settings.model_json_schema()
    ours = SCHEMA["properties"]["config"]

    def resolved(node: dict[str, Any]) -> dict[str, Any]:
        name = node.get("$ref", "").rpartition("/")[2]
        return raw["$defs"][name] if name else node

    def compare(theirs: dict[str, Any], mine: dict[str, Any], path: str) -> None:
        theirs = resolved(theirs)
        for name, part in theirs.get("properties", {}).items():
            if f"{path}{name}" not in secret_paths():
                compare(part, mine["properties"][name], f"{path}{name}.")
        port = theirs.get("maximum") == 65_535 and theirs.get("minimum") == 0
        for word in ("type", "enum", "minimum", "maximum", "exclusiveMinimum"):
            expected = 1 if port and word == "minimum" else theirs.get(word)
            assert mine.get(word) == expected, f"{path} {word}"

    assert ours == config_schema()
    compare(raw, ours, "")


def test_schema_leaves_no_object_open() -> None:
    """Unknown keys are refused everywhere but in Kubernetes' own structures."""
    open_objects = []

    def walk(node: Any, path: str) -> None:
        if isinstance(node, dict):
            if (
                node.get("type") == "object"
                and "additionalProperties" not in node
                and "$comment" not in node
            ):
                open_objects.append(path)
            for name, part in node.items():
                walk(part, f"{path}/{name}")
        elif isinstance(node, list):
            for number, part in enumerate(node):
                walk(part, f"{path}/{number}")

    walk(SCHEMA, "")

    assert open_objects == []


def test_schema_knows_every_value_and_no_other() -> None:
    """What values.yaml lists is what the schema allows, level by level."""
    definitions = SCHEMA["definitions"]
    missing = []

    def compare(values: Any, schema: dict[str, Any], path: str) -> None:
        schema = definitions.get(schema.get("$ref", "").rpartition("/")[2], schema)
        if not isinstance(values, dict) or not values or "properties" not in schema:
            return
        allowed = set(schema["properties"]) - {"global"}
        missing.extend(f"{path}{name}" for name in set(values) - allowed)
        for name, part in values.items():
            compare(part, schema["properties"][name], f"{path}{name}.")

    compare(VALUES, SCHEMA, "")

    assert missing == []
    assert set(VALUES) == set(SCHEMA["properties"]) - {"global"}


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.stem)
def test_profiles_fit_the_schema(profile: Path) -> None:
    """The schema itself is valid, and takes every set of values we ship."""
    jsonschema.Draft7Validator.check_schema(SCHEMA)

    jsonschema.validate(merged(VALUES, yaml.safe_load(profile.read_text())), SCHEMA)


def merged(below: Any, above: Any) -> Any:
    """Lay values over others as Helm does."""
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return below | {name: merged(below.get(name), part) for name, part in above.items()}
