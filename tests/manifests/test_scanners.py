"""
What schemas and scanners say about the kustomize tree, and whether they would say it.

Production has full marks. The other builds miss some on purpose, each named here with
its reason: a new complaint is a failure, and so is one that no longer comes. A scanner
that finds nothing may not have looked, so spoilt manifests must be found as well.
"""

import copy

import pytest
import yaml

from tests.support.kustomize import BUILDS, build, pod_template, write
from tests.support.scanners import (
    checkov_failures,
    kube_score_complaints,
    schema_complaints,
)

APPS = [folder for folder in BUILDS if folder.startswith("k8s/")]
PRODUCTION = "k8s/overlays/production"

LOADED = {"ImagePullPolicy is not set to Always", "CKV_K8S_15"}
"""The image was loaded into the cluster; there is no registry to ask."""
TAGGED = {"CKV_K8S_43"}
"""A digest is known when an image has been pushed; production names one."""
SMALL = {
    "Memory requests does not match limits",
    "CPU requests does not match limits",
    "Deployment few replicas",
}
"""One Burstable pod, for a developer's machine."""

ON_PURPOSE = {
    "k8s/overlays/dev": LOADED
    | TAGGED
    | SMALL
    | {"The service is of type NodePort"},  # reached without an ingress controller
    "k8s/overlays/local": LOADED | TAGGED,
    PRODUCTION: set(),
    # it scales down to one pod, so that the test of it is short
    "k8s/tests/autoscaled": LOADED | TAGGED | {"HPA few replicas"},
    "k8s/tests/commitlog": TAGGED,
    "k8s/tests/files-disk": TAGGED,
    "k8s/tests/files-s3": TAGGED,
    "k8s/tests/gateway": TAGGED,
    "k8s/tests/monitored": LOADED | TAGGED,
    "k8s/tests/nats": TAGGED,
    "k8s/tests/phonebook-cloudnativepg": TAGGED,
    "k8s/tests/phonebook-postgresql": TAGGED,
    "k8s/tests/phonebook-sqlite": TAGGED,
    "k8s/tests/tls": TAGGED | {"The service is of type NodePort"},
}


def about(complaints):
    """Return checkov's rules, or kube-score's sentences without the object's name."""
    return {
        line.split()[0]
        if line.startswith("CKV")
        else line.split(": ", 1)[1].removeprefix("(httpserver) ")
        for line in complaints
    }


def test_every_build_of_the_service_is_scanned():
    """A new overlay says here what it misses on purpose."""
    assert set(ON_PURPOSE) == set(APPS)


@pytest.mark.parametrize("folder", BUILDS)
def test_objects_fit_the_schemas_of_kubernetes(folder, tmp_path):
    """Every built-in object of every build is valid, without unknown fields."""
    assert schema_complaints(write(folder, tmp_path)) == ""


@pytest.mark.parametrize("folder", APPS)
def test_kube_score_complains_of_nothing_but_what_is_meant(folder, tmp_path):
    """All of its tests, the optional ones too."""
    complaints = kube_score_complaints(write(folder, tmp_path))
    wanted = {each for each in ON_PURPOSE[folder] if not each.startswith("CKV")}

    assert about(complaints) == wanted, complaints


@pytest.mark.parametrize("folder", [each for each in APPS if "overlays" in each])
def test_checkov_fails_nothing_but_what_is_meant(folder, tmp_path):
    """No rule is skipped. The overlays alone: each of its runs takes seconds."""
    write(folder, tmp_path)
    failures = checkov_failures(tmp_path)
    wanted = {each for each in ON_PURPOSE[folder] if each.startswith("CKV")}

    assert about(failures) == wanted, failures


@pytest.fixture
def manifests():
    """What production builds, to be spoilt."""
    return copy.deepcopy(build(PRODUCTION))


def spoil(manifests, **changes):
    """Change fields of the container; None takes one out."""
    (container,) = pod_template(manifests)["spec"]["containers"]
    for name, value in changes.items():
        part, _, field = name.rpartition("__")
        target = container[part] if part else container
        target[field] = value
        if value is None:
            del target[field]


def saved(manifests, folder):
    path = folder / "spoilt.yaml"
    path.write_text(yaml.safe_dump_all(manifests))
    return path


FAULTS = {
    "writable root": (
        {"securityContext__readOnlyRootFilesystem": False},
        "The pod has a container with a writable root filesystem",
    ),
    "low user": (
        {"securityContext__runAsUser": 1000},
        "The container is running with a low user ID",
    ),
    "privileged": (
        {"securityContext__privileged": True},
        "The container is privileged",
    ),
    "latest": ({"image": "httpserver:latest"}, "Image with latest tag"),
    "pull policy": (
        {"imagePullPolicy": "IfNotPresent"},
        "ImagePullPolicy is not set to Always",
    ),
    "no limits": ({"resources__limits": None}, "CPU limit is not set"),
    "no requests": ({"resources__requests": None}, "CPU request is not set"),
    "no readiness": (
        {"readinessProbe": None},
        "Container is missing a readinessProbe",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_kube_score_finds_a_spoilt_container(name, manifests, tmp_path):
    """The scanner does look at the field."""
    changes, complaint = FAULTS[name]
    spoil(manifests, **changes)

    assert complaint in about(kube_score_complaints(saved(manifests, tmp_path)))


@pytest.mark.parametrize("kind", ["NetworkPolicy", "PodDisruptionBudget"])
def test_kube_score_misses_an_object_that_is_not_there(kind, manifests, tmp_path):
    """What belongs to the pods is looked for beside them."""
    rest = [each for each in manifests if each["kind"] != kind]

    assert kube_score_complaints(saved(rest, tmp_path)) != []


def test_checkov_finds_each_fault_of_a_spoilt_container(manifests, tmp_path):
    """Many faults at once, to run it once."""
    spoil(
        manifests,
        image="httpserver:latest",
        imagePullPolicy="IfNotPresent",
        livenessProbe=None,
        resources__limits=None,
        securityContext__allowPrivilegeEscalation=True,
        securityContext__privileged=True,
        securityContext__readOnlyRootFilesystem=False,
        securityContext__runAsUser=1000,
        securityContext__capabilities=None,
    )
    pod_template(manifests)["spec"] |= {"automountServiceAccountToken": True}
    saved(manifests, tmp_path)
    rules = (8, 11, 13, 14, 15, 16, 20, 22, 28, 37, 38, 40, 43)

    assert {f"CKV_K8S_{rule}" for rule in rules} <= about(checkov_failures(tmp_path))


def test_schemas_refuse_an_unknown_field(manifests, tmp_path):
    """A slip of the pen is found, which the API server would drop with a warning."""
    spoil(manifests, imagePulPolicy="Always")

    assert "imagePulPolicy" in schema_complaints(saved(manifests, tmp_path))
