"""The image on its own, as `docker run -p 80:8099` starts it."""

import contextlib
import json

import pytest

from service import __version__
from tests.support.cluster import RESTRICTED, WAIT, await_value, kubectl, namespace

ASK = """
import json, urllib.request
answer = urllib.request.urlopen("http://127.0.0.1:8099/version", timeout=60)
print(answer.read().decode())
"""


PROBE = """
import importlib.util, json, os
names = ["pip", "ensurepip", "setuptools", "wheel"]
print(json.dumps([os.getuid(), [*filter(importlib.util.find_spec, names)]]))
"""


@pytest.fixture(scope="module")
def pod(image):
    """A pod of the image, without arguments, under the restricted profile."""
    name, tag = image
    container = {
        "name": "image",
        "image": f"{name}:{tag}",
        "imagePullPolicy": "IfNotPresent",
        "securityContext": RESTRICTED,
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": 8099}},
    }
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "image"},
        "spec": {"containers": [container], "automountServiceAccountToken": False},
    }
    with namespace("httpserver-image") as ns:
        ns.create()
        label = "pod-security.kubernetes.io/enforce=restricted"
        kubectl("label", "namespace", ns.name, label)
        ns.kubectl("create", "-f", "-", stdin=json.dumps(manifest))
        ns.kubectl("wait", "pod/image", "--for=condition=Ready", WAIT)
        yield ns


def told(pod, code):
    """Return the JSON that code in the pod prints, once kubectl has had all of it."""
    run = ("exec", "image", "--", "python", "-c", code)
    return await_value(lambda: json.loads(pod.kubectl(*run)), bool)


def test_image_serves_on_8099_by_default(pod):
    """Without arguments it listens where the Docker example looks for it."""
    answer = told(pod, ASK)

    assert answer["name"] == "httpserver"
    assert answer["python"].startswith("3.13.")


def test_image_has_the_command_of_the_documents(pod):
    """`kubectl exec … -- httpserver …` does what it does elsewhere."""
    version = pod.kubectl("exec", "image", "--", "httpserver", "version")

    assert __version__ in version


def test_image_has_no_installer_and_no_root(pod):
    """Nobody installs anything in what runs, and the user is a number."""
    assert told(pod, PROBE) == [10001, []]


def test_image_stops_cleanly_as_process_1(pod):
    """SIGTERM reaches the process, which drains and exits 0."""
    # whoever tells it may be cut off by what it does
    with contextlib.suppress(AssertionError):
        pod.kubectl("exec", "image", "--", "python", "-c", "import os; os.kill(1, 15)")

    def state():
        status = pod.get("pod", "image")["status"]["containerStatuses"][0]
        return status["lastState"].get("terminated") or status["state"].get(
            "terminated"
        )

    terminated = await_value(state, bool)

    assert terminated["exitCode"] == 0
