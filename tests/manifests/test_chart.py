"""The chart's objects fit each other, the service and the cluster's rules."""

import base64
import json
from pathlib import Path

import pytest
import yaml

import service
from service.settings import Settings
from tests.support.chart import (
    CHART,
    PROFILES,
    Manifest,
    config_map,
    helm,
    of_kind,
    only,
    render,
    render_text,
)

CLUSTER_SCOPED = {"ClusterIssuer"}
OWN_CA = CHART / "ci" / "own-ca-values.yaml"
EVERYTHING = CHART / "ci" / "everything-values.yaml"

each_profile = pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.stem)


WORKLOADS = ("Deployment", "StatefulSet")


def pod_of(manifests: list[Manifest]) -> Manifest:
    """Pick the pod template of the Deployment, a StatefulSet with the log's volume."""
    (workload,) = (one for kind in WORKLOADS for one in of_kind(manifests, kind))
    template: Manifest = workload["spec"]["template"]
    return template


def selects(selector: dict[str, str], labels: dict[str, str]) -> bool:
    """Whether a label selector takes something with *labels*."""
    return selector.items() <= labels.items()


@each_profile
def test_profile_passes_strict_lint(profile: Path) -> None:
    """Every set of values passes `helm lint --strict`."""
    done = helm("lint", "--strict", str(CHART), f"--values={profile}")

    assert done.returncode == 0, done.stdout + done.stderr


@each_profile
def test_two_renders_are_equal(profile: Path) -> None:
    """Nothing in a render is random, so a repeated upgrade changes nothing."""
    again = render_text.__wrapped__  # not what was kept of it

    assert again(profile) == render_text(profile)


@each_profile
def test_every_object_names_namespace_and_labels(profile: Path) -> None:
    """Each object stands in the release's namespace and carries the six labels."""
    for manifest in render(profile):
        metadata = manifest["metadata"]
        labels = {
            name.removeprefix("app.kubernetes.io/") for name in metadata["labels"]
        }

        assert (manifest["kind"] in CLUSTER_SCOPED) == ("namespace" not in metadata)
        assert {
            "name",
            "instance",
            "component",
            "version",
            "part-of",
            "managed-by",
        } <= labels


@each_profile
def test_settings_file_is_one_the_service_takes(profile: Path) -> None:
    """The ConfigMap holds settings that the service itself would accept."""
    settings = yaml.safe_load(config_map(render(profile))["data"]["config.yaml"])
    # what the Secret of that profile would bring
    settings["sms"] |= dict.fromkeys(("token", "webhook_token"), "x" * 16)

    Settings.model_validate(settings)


def test_default_settings_file_holds_the_services_own_defaults() -> None:
    """Without values the chart changes no setting."""
    text = config_map(render())["data"]["config.yaml"]

    assert Settings.model_validate(yaml.safe_load(text)) == Settings()


@each_profile
def test_selectors_take_the_pods_and_not_the_test_pods(profile: Path) -> None:
    """Services, PodDisruptionBudget and monitors see the service's pods alone."""
    manifests = render(profile)
    labels = pod_of(manifests)["metadata"]["labels"]
    others = [pod["metadata"]["labels"] for pod in of_kind(manifests, "Pod")]
    selectors = [
        *(one["spec"]["selector"] for one in of_kind(manifests, "Service")),
        *(
            one["spec"]["selector"]["matchLabels"]
            for kind in (*WORKLOADS, "PodDisruptionBudget", "PodMonitor")
            for one in of_kind(manifests, kind)
        ),
        *(
            one["spec"]["podSelector"]["matchLabels"]
            for one in of_kind(manifests, "NetworkPolicy")
            if not one["metadata"]["name"].endswith("-test")
        ),
    ]

    assert all(selects(selector, labels) for selector in selectors)
    assert not any(selects(one, other) for one in selectors for other in others)


def test_service_monitor_takes_the_admin_service_alone() -> None:
    """The public Service is no scrape target."""
    manifests = render(sets=("serviceMonitor.enabled=true",))
    selector = only(manifests, "ServiceMonitor")["spec"]["selector"]["matchLabels"]
    taken = [
        one["metadata"]["name"]
        for one in of_kind(manifests, "Service")
        if selects(selector, one["metadata"]["labels"])
    ]

    assert taken == ["httpserver-admin"]


@each_profile
def test_admin_port_is_not_reachable_from_outside(profile: Path) -> None:
    """No Ingress, HTTPRoute, node port or load balancer leads to the admin port."""
    manifests = render(profile)
    outside = {
        one["metadata"]["name"]: one
        for one in of_kind(manifests, "Service")
        if one["spec"]["type"] != "ClusterIP"
    }
    backends = {
        path["backend"]["service"]["name"]
        for ingress in of_kind(manifests, "Ingress")
        for rule in ingress["spec"]["rules"]
        for path in rule["http"]["paths"]
    } | {
        backend["name"]
        for route in of_kind(manifests, "HTTPRoute")
        for rule in route["spec"]["rules"]
        for backend in rule["backendRefs"]
    }
    names = {name for name in outside if name.endswith("-admin")}

    assert not names
    for name in set(outside) | backends:
        ports = only(manifests, "Service", name)["spec"]["ports"]
        assert {port["targetPort"] for port in ports} <= {"http", "https"}


@each_profile
def test_named_ports_are_ports_of_the_container(profile: Path) -> None:
    """Probes, Services and policies speak of ports that the container has."""
    manifests = render(profile)
    container = pod_of(manifests)["spec"]["containers"][0]
    numbers = {port["name"]: port["containerPort"] for port in container["ports"]}
    probes = ("startupProbe", "livenessProbe", "readinessProbe")
    named = {container[probe]["httpGet"]["port"] for probe in probes} | {
        port["targetPort"]
        for one in of_kind(manifests, "Service")
        for port in one["spec"]["ports"]
    }
    opened = {
        port["port"]
        for policy in of_kind(manifests, "NetworkPolicy")
        for rule in policy["spec"]["ingress"]
        for port in rule["ports"]
    }

    assert named <= numbers.keys()
    assert opened <= set(numbers.values())
    assert len(set(numbers.values())) == len(numbers)


def test_secret_keys_are_names_the_service_reads() -> None:
    """Each key of the Secret is `<section>__<field>` of a secret setting."""
    data = only(render(EVERYTHING), "Secret")["data"]
    decoded = {name: base64.b64decode(value).decode() for name, value in data.items()}
    control = decoded["server__admin__control__token"]
    settings = Settings.model_validate(
        {
            "login": {
                "users": json.loads(decoded["login__users"]),
                "token_key": decoded["login__token_key"],
            },
            "server": {"admin": {"control": {"enabled": True, "token": control}}},
        }
    )

    assert set(decoded) == {
        "login__users",
        "login__token_key",
        "server__admin__control__token",
    }
    assert list(settings.login.users) == ["alice"]


def test_no_secret_value_reaches_the_config_map() -> None:
    """Users and token key are in the Secret alone."""
    text = yaml.safe_dump(config_map(render(EVERYTHING)))

    assert "argon2" not in text
    assert "a-key-for-the-rendering-tests" not in text


def test_ingress_serves_the_certificate_that_is_issued() -> None:
    """Certificate, Ingress and CA name the same Secret, hosts and issuer."""
    manifests = render(OWN_CA)
    certificate = only(manifests, "Certificate", "httpserver-tls")["spec"]
    authority = only(manifests, "Certificate", "httpserver-ca")
    issuer = only(manifests, "Issuer", certificate["issuerRef"]["name"])
    ingress = only(manifests, "Ingress")["spec"]

    assert ingress["tls"] == [
        {"secretName": certificate["secretName"], "hosts": certificate["dnsNames"]}
    ]
    assert issuer["spec"]["ca"]["secretName"] == authority["spec"]["secretName"]
    assert authority["spec"]["isCA"] is True
    assert only(manifests, "Issuer", authority["spec"]["issuerRef"]["name"])


def test_autoscaler_owns_the_number_of_replicas() -> None:
    """With an autoscaler, an upgrade does not set the replicas back."""
    manifests = render(sets=("autoscaling.enabled=true",))
    target = only(manifests, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]

    assert "replicas" not in only(manifests, "Deployment")["spec"]
    assert target["name"] == only(manifests, "Deployment")["metadata"]["name"]


@each_profile
def test_role_is_bound_to_the_pods_account_or_absent(profile: Path) -> None:
    """There is no Role unless asked for, and never one with a wildcard."""
    manifests = render(profile)
    account = pod_of(manifests)["spec"]["serviceAccountName"]
    bound = [
        subject["name"]
        for binding in of_kind(manifests, "RoleBinding")
        for subject in binding["subjects"]
    ]
    words = [
        word
        for role in of_kind(manifests, "Role")
        for rule in role["rules"]
        for part in rule.values()
        for word in part
    ]

    assert bound == ([account] if profile == EVERYTHING else [])
    assert "*" not in words


@each_profile
def test_test_pods_may_reach_what_they_ask(profile: Path) -> None:
    """Test pods are let out to the service, and the service lets them in."""
    manifests = render(profile)
    policies = list(of_kind(manifests, "NetworkPolicy"))
    if not policies:
        assert not any(of_kind(manifests, "Pod"))
        return
    own = next(one for one in policies if one["metadata"]["name"].endswith("-test"))
    server = next(one for one in policies if one is not own)
    pods = [pod["metadata"]["labels"] for pod in of_kind(manifests, "Pod")]

    assert all(selects(own["spec"]["podSelector"]["matchLabels"], pod) for pod in pods)
    for rule in server["spec"]["ingress"]:
        peers = [
            peer["podSelector"]["matchLabels"]
            for peer in rule.get("from", [])
            if "podSelector" in peer
        ]
        assert "from" not in rule or any(selects(peer, pods[0]) for peer in peers)


def test_chart_names_the_version_of_the_service() -> None:
    """The image's default tag is the version that the code has."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert chart["appVersion"] == service.__version__


def test_packaged_chart_renders_the_same(tmp_path: Path) -> None:
    """Nothing that the templates need is left out of the archive."""
    done = helm("package", str(CHART), f"--destination={tmp_path}")
    assert done.returncode == 0, done.stderr
    (archive,) = tmp_path.glob("*.tgz")

    assert render(chart=archive) == render()


def test_chart_works_as_a_part_of_another(tmp_path: Path) -> None:
    """A parent chart gives it `global` and its values; the schema takes them."""
    parent = tmp_path / "shop"
    (parent / "charts").mkdir(parents=True)
    (parent / "charts" / "httpserver").symlink_to(CHART)
    (parent / "Chart.yaml").write_text("apiVersion: v2\nname: shop\nversion: 0.1.0\n")
    (parent / "values.yaml").write_text(
        "global: {region: eu}\nhttpserver: {replicas: 5, fullnameOverride: front}\n"
    )

    manifests = render(chart=parent, release="shop")

    assert only(manifests, "Deployment", "front")["spec"]["replicas"] == 5


@pytest.mark.parametrize(
    ("sets", "warning"),
    [
        (("replicas=1",), "1 replica"),
        (("ingress.enabled=true",), "no TLS"),
        (('service.type="NodePort"',), "plain HTTP"),
        ((), "No secret.tokenKey"),
        (("config.server.admin.control.enabled=true",), "No secret.controlToken"),
        ((), "No image.digest"),
        (("networkPolicy.enabled=false",), "No NetworkPolicy"),
        (("serviceAccount.automountToken=true",), "token of the Kubernetes API"),
        (("config.server.admin.enabled=false",), "No admin listener"),
    ],
)
def test_risky_value_is_warned_of_in_the_notes(
    sets: tuple[str, ...], warning: str
) -> None:
    """The notes after an install name what is risky in its values."""
    assert warning in notes(*sets)


def test_safe_values_get_no_warning() -> None:
    """Production values with a digest end the notes without a warning."""
    text = notes(
        f'image.digest="sha256:{"0" * 64}"', files=(CHART / "values-production.yaml",)
    )

    assert "https://httpserver.example.com/" in text
    assert "Think about" not in text


def notes(*sets: str, files: tuple[Path, ...] = ()) -> str:
    """Take the notes of a dry install."""
    done = helm(
        "install",
        "httpserver",
        str(CHART),
        "--dry-run=client",
        "--namespace=httpserver",
        *(f"--values={file}" for file in files),
        *(f"--set-json={one}" for one in sets),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.partition("NOTES:")[2]
