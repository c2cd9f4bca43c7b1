"""
`skaffold.yaml`: it names what is there, and its profile does what it says.

Without skaffold itself this is the shape alone, held against its published schema by
hand; what skaffold makes of it is not run here.
"""

import re

import pytest
import yaml

from tests.support import chart
from tests.support.kustomize import build, pod_template

CONFIG = yaml.safe_load((chart.ROOT / "skaffold.yaml").read_text())
PROFILES = {profile["name"]: profile for profile in CONFIG["profiles"]}
RELEASE = PROFILES["helm"]["deploy"]["helm"]["releases"][0]
(OVERLAY,) = CONFIG["manifests"]["kustomize"]["paths"]


def test_sections_are_those_of_skaffolds_schema():
    """A section with another name would be refused."""
    assert re.fullmatch(r"skaffold/v4beta\d+", CONFIG["apiVersion"])
    assert CONFIG["kind"] == "Config"
    assert CONFIG.keys() <= {
        *("apiVersion", "kind", "metadata", "build", "manifests", "deploy"),
        *("portForward", "profiles"),
    }
    for profile in PROFILES.values():
        assert profile.keys() <= {"name", "patches", "manifests", "deploy"}


def test_artifact_is_the_image_that_the_overlay_runs():
    """Skaffold replaces an image by its name."""
    (artifact,) = CONFIG["build"]["artifacts"]
    (container,) = pod_template(build(OVERLAY))["spec"]["containers"]

    assert (chart.ROOT / artifact["docker"]["dockerfile"]).is_file()
    assert container["image"].partition(":")[0] == artifact["image"]


def test_forwarded_ports_are_those_of_the_pods():
    """Each forward names a Deployment and a port that are there."""
    manifests = build(OVERLAY)
    (deployment,) = (each for each in manifests if each["kind"] == "Deployment")
    metadata = deployment["metadata"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    ports = [forward["port"] for forward in CONFIG["portForward"]]

    assert ports == [port["containerPort"] for port in container["ports"]]
    for forward in CONFIG["portForward"]:
        assert forward["resourceType"] == "deployment"
        assert forward["resourceName"] == metadata["name"] == RELEASE["name"]
        assert forward["namespace"] == metadata["namespace"] == RELEASE["namespace"]


def test_helm_profile_deploys_the_chart_alone():
    """The overlay is removed: both would fight for the same objects."""
    removed = [patch["path"] for patch in PROFILES["helm"]["patches"]]

    assert removed == ["/manifests/kustomize"]
    assert "deploy" not in CONFIG


def empty(value):
    """Whether something in *value* is empty."""
    if isinstance(value, dict):
        return not value or any(map(empty, value.values()))
    if isinstance(value, list):
        return not value or any(map(empty, value))
    return value in (None, "")


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_have_no_empty_values(name):
    """An empty value in a profile leaves what was there, though it looks otherwise."""
    assert not empty(PROFILES[name])


def test_values_of_the_helm_profile_suit_the_chart():
    """The chart's schema takes what the profile sets."""
    files = [chart.ROOT / name for name in RELEASE["valuesFiles"]]
    image = {"image.repository": '"registry.example.com/a/b"', "image.tag": '"t-1"'}
    sets = tuple(f"{key}={value}" for key, value in image.items())
    manifests = chart.render(*files, sets=sets)
    (container,) = pod_template(manifests)["spec"]["containers"]

    assert chart.ROOT / RELEASE["chartPath"] == chart.CHART
    assert image.keys() == RELEASE["setValueTemplates"].keys()
    assert container["image"] == "registry.example.com/a/b:t-1"
