"""The kustomize tree: every build is hardened, labelled, and agrees with the chart."""

import os

import pytest
import yaml

from service import __version__
from service.settings import Settings
from tests.support import chart
from tests.support.kustomize import BUILDS, build, pod_template, workload
from tests.support.scanners import schema_complaints

APPS = [folder for folder in BUILDS if folder.startswith("k8s/")]
each_app = pytest.mark.parametrize("folder", APPS)


@each_app
def test_pods_keep_the_restricted_profile(folder):
    """The rules of Pod Security's strictest profile, one by one."""
    pod = pod_template(build(folder))["spec"]

    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    kinds = {kind for volume in pod["volumes"] for kind in volume} - {"name"}
    usual = {"configMap", "emptyDir"}
    others = {"ephemeral", "persistentVolumeClaim", "projected", "secret"}
    assert usual <= kinds <= usual | others
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
    config = chart.config_map(manifests)
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


def test_tls_leads_from_service_to_pod_and_leaves_plain_http_in_place():
    """The node port stays that of HTTP; the certificate has the Service's name."""
    manifests = build("k8s/tests/tls")
    (service,) = (
        each["spec"]
        for each in manifests
        if each["kind"] == "Service" and each["metadata"]["name"] == "httpserver"
    )
    (policy,) = (each for each in manifests if each["kind"] == "NetworkPolicy")
    pod = pod_template(manifests)["spec"]
    names = [
        each["spec"]["dnsNames"]
        for each in manifests
        if each["kind"] == "Certificate" and not each["spec"].get("isCA")
    ]
    tls = pod["containers"][0]["ports"][-1]

    assert tls == {"name": "https", "containerPort": 8443}
    assert [each["name"] for each in service["ports"]] == ["http", "https"]
    assert service["ports"][0]["nodePort"] == 30080
    assert {"port": 8443, "protocol": "TCP"} in policy["spec"]["ingress"][0]["ports"]
    assert pod["volumes"][-1]["secret"]["secretName"] == "httpserver-tls"
    assert "httpserver.httpserver.svc" in names[0]


def test_file_of_the_phone_book_is_written_by_one_pod_at_a_time():
    """The old pod is gone before the new one comes, and the volume is what it says."""
    manifests = build("k8s/tests/phonebook-sqlite")
    (deployment,) = (e["spec"] for e in manifests if e["kind"] == "Deployment")
    (claim,) = (e for e in manifests if e["kind"] == "PersistentVolumeClaim")
    (volume,) = (
        each
        for each in deployment["template"]["spec"]["volumes"]
        if "persistentVolumeClaim" in each
    )

    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]


@pytest.mark.parametrize(
    ("kind", "secret", "key", "authority"),
    [
        ("postgresql", "httpserver-phonebook", "url", "httpserver-phonebook"),
        ("cloudnativepg", "phonebook-app", "uri", "phonebook-ca"),
    ],
)
def test_url_of_postgresql_lies_beside_the_other_secrets(kind, secret, key, authority):
    """One folder of secrets from both Secrets, the authority, and a way out."""
    manifests = build(f"k8s/tests/phonebook-{kind}")
    volumes = {
        each["name"]: each for each in pod_template(manifests)["spec"]["volumes"]
    }
    (policy,) = (each for each in manifests if each["kind"] == "NetworkPolicy")
    ours, database = volumes["secrets"]["projected"]["sources"]
    item = {"key": key, "path": "phonebook__postgresql__url"}

    assert ours == {"secret": {"name": "httpserver", "optional": True}}
    assert database == {"secret": {"name": secret, "items": [item]}}
    assert volumes["postgresql-ca"]["secret"]["secretName"] == authority
    assert {"ports": [{"port": 5432, "protocol": "TCP"}]} in policy["spec"]["egress"]


def test_files_on_a_disk_are_one_pods():
    """The old pod is gone before the new one comes, and the root is on the volume."""
    manifests = build("k8s/tests/files-disk")
    (deployment,) = (e["spec"] for e in manifests if e["kind"] == "Deployment")
    (claim,) = (e for e in manifests if e["kind"] == "PersistentVolumeClaim")
    pod = deployment["template"]["spec"]
    (mount,) = (e for e in pod["containers"][0]["volumeMounts"] if e["name"] == "files")
    variables = {e["name"]: e.get("value") for e in pod["containers"][0]["env"]}

    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
    assert {
        "name": "files",
        "persistentVolumeClaim": {"claimName": claim["metadata"]["name"]},
    } in pod["volumes"]
    assert variables["HTTPSERVER_FILES__ROOT"].startswith(f"{mount['mountPath']}/")


def test_keys_of_the_object_store_lie_beside_the_other_secrets():
    """No variable shows them: new ones need no restart. And there is a way out."""
    manifests = build("k8s/tests/files-s3")
    pod = pod_template(manifests)["spec"]
    (policy,) = (each for each in manifests if each["kind"] == "NetworkPolicy")
    volumes = {each["name"]: each for each in pod["volumes"]}
    _, keys = volumes["secrets"]["projected"]["sources"]

    assert [each["path"] for each in keys["secret"]["items"]] == [
        "files__s3__access_key_id",
        "files__s3__secret_access_key",
    ]
    assert not any("KEY" in each["name"] for each in pod["containers"][0]["env"])
    assert "ephemeral" in volumes["files"]
    assert {"ports": [{"port": 443, "protocol": "TCP"}]} in policy["spec"]["egress"]


def test_log_is_written_by_one_pod_and_read_by_those_it_knows():
    """Volume, port and certificates fit each other, and the settings are taken."""
    manifests = build("k8s/tests/commitlog")
    (workload,) = (e["spec"] for e in manifests if e["kind"] == "StatefulSet")
    pod = workload["template"]["spec"]
    volumes = {each["name"]: each for each in pod["volumes"]}
    certificates = {
        each["metadata"]["name"]: each["spec"]
        for each in manifests
        if each["kind"] == "Certificate"
    }
    shown = certificates[volumes["log-tls"]["secret"]["secretName"]]
    port = {"name": "log", "containerPort": 8400}

    assert (workload["replicas"], workload["serviceName"]) == (1, "httpserver")
    assert "strategy" not in workload
    assert volumes["log"]["persistentVolumeClaim"] == {"claimName": "httpserver-log"}
    assert port in pod["containers"][0]["ports"]
    assert "server auth" in shown["usages"]
    assert "httpserver.httpserver.svc" in shown["dnsNames"]
    assert "client auth" in certificates["httpserver-log-client"]["usages"]


def test_patches_of_the_deployment_find_the_pod_of_the_log(tmp_path):
    """Components that patch the Deployment do so before and after the log's."""
    folder = chart.ROOT / "k8s/components"
    names = ("control", "commitlog", "discovery")
    built = overlay(tmp_path, *(folder / name for name in names))
    pod = pod_template(built)["spec"]
    settings = {each["name"] for each in pod["containers"][0]["env"]}

    assert {each["kind"] for each in built} & {"Deployment"} == set()
    assert "HTTPSERVER_LOG_SERVICE__ENABLED" in settings
    assert pod["automountServiceAccountToken"] is True


@pytest.mark.parametrize(
    "pair",
    [
        ("commitlog", "control"),
        ("commitlog", "files-disk"),
        ("commitlog", "phonebook-sqlite"),
        ("control", "files-s3"),
        ("control", "phonebook-cloudnativepg"),
        ("files-disk", "phonebook-sqlite"),
        ("files-s3", "phonebook-cloudnativepg"),
        ("files-s3", "phonebook-postgresql"),
    ],
    ids="-".join,
)
def test_order_of_components_changes_nothing(pair, tmp_path):
    """None takes away what another has brought, and both orders are valid."""
    folder = chart.ROOT / "k8s/components"
    workloads = []
    for number, names in enumerate((pair, pair[::-1])):
        target = tmp_path / str(number)
        target.mkdir()
        objects = overlay(target, *(folder / name for name in names))
        built = target / "built.yaml"
        built.write_text(yaml.safe_dump_all(objects))
        assert schema_complaints(built) == ""
        found = workload(objects)
        workloads.append((found["kind"], unordered(found["spec"])))

    assert workloads[0] == workloads[1]


def unordered(value):
    """Return *value* with its lists in one order."""
    if isinstance(value, dict):
        return {key: unordered(each) for key, each in value.items()}
    if isinstance(value, list):
        return sorted((unordered(each) for each in value), key=repr)
    return value


def test_log_over_jetstream_takes_the_same_certificates(tmp_path):
    """Many pods, no volume, and mutual TLS."""
    folder = chart.ROOT / "k8s/components"
    built = overlay(tmp_path, folder / "nats", folder / "commitlog-tls")
    (container,) = pod_template(built)["spec"]["containers"]
    settings = {each["name"]: each.get("value") for each in container["env"]}

    assert settings["HTTPSERVER_LOG_SERVICE__STORE"] == "jetstream"
    assert settings["HTTPSERVER_LOG_SERVICE__TLS__CLIENT_AUTH"] == "required"


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


CLUSTER_WIDE = {"Namespace", "ClusterIssuer"}


def astray(manifests):
    """Objects that would go where whoever applies them happens to be."""
    return [
        f"{each['kind']} {each['metadata']['name']}"
        for each in manifests
        if each["kind"] not in CLUSTER_WIDE and "namespace" not in each["metadata"]
    ]


@pytest.mark.parametrize("folder", BUILDS)
def test_objects_name_their_namespace(folder):
    """An overlay of one's own replaces it, and none has to."""
    assert astray(build(folder)) == []


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


COMPONENTS = sorted(
    path.parent.name for path in chart.ROOT.glob("k8s/components/*/kustomization.yaml")
)


def overlay(folder, *components):
    """Build an overlay in *folder* of base and *components*, in this order."""

    def seen(path):
        return os.path.relpath(path, folder.resolve())

    content = {
        "resources": [seen(chart.ROOT / "k8s/base")],
        "components": [seen(path) for path in components],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(content))
    return build(str(folder))


@pytest.mark.parametrize("name", COMPONENTS)
def test_component_alone_is_valid_and_is_described(name, tmp_path):
    """Nobody has to take a second one for it; its README says what it needs."""
    folder = chart.ROOT / "k8s/components" / name
    built = tmp_path / "built.yaml"
    objects = overlay(tmp_path, folder)
    built.write_text(yaml.safe_dump_all(objects))

    assert schema_complaints(built) == ""
    assert astray(objects) == []
    assert (folder / "README.md").read_text().startswith(f"# {name}\n")
    assert f"components/{name}/README.md" in (chart.ROOT / "k8s/README.md").read_text()


def test_annotations_for_a_plain_prometheus_leave_others_in_place(tmp_path):
    """Another component may have brought some before."""
    own = {"example.com/team": "a"}
    template = {"metadata": {"annotations": own}}
    patch = {"apiVersion": "apps/v1", "kind": "Deployment"}
    patch |= {"metadata": {"name": "httpserver"}, "spec": {"template": template}}
    team = tmp_path / "team"
    team.mkdir()
    content = {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "patches": [{"patch": yaml.safe_dump(patch)}],
    }
    (team / "kustomization.yaml").write_text(yaml.safe_dump(content))
    ours = chart.ROOT / "k8s/components/prometheus-annotations"

    built = overlay(tmp_path, team, ours)

    scraped = pod_template(build("k8s/overlays/local"))["metadata"]["annotations"]
    assert pod_template(built)["metadata"]["annotations"] == own | scraped


def test_dev_logs_more_by_its_file_and_not_by_a_flag():
    """A flag would win over each later change of the ConfigMap."""
    manifests = build("k8s/overlays/dev")
    config = chart.config_map(manifests)
    (container,) = pod_template(manifests)["spec"]["containers"]

    assert "level: debug" in config["data"]["config.yaml"]
    assert container["args"] == ["serve"]


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
