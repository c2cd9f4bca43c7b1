"""
The commit log over NATS JetStream on a cluster: three servers, two pods of the service,
and clients in a pod of their own. The leader's server is killed by force while they
produce; what was acknowledged is there.
"""

import contextlib
import json
import os
import secrets
import threading
import time
from collections.abc import Iterator
from typing import IO

import pytest
import yaml

from tests.support.chart import ROOT
from tests.support.cluster import (
    LIMIT,
    WAIT,
    Namespace,
    await_value,
    kubectl,
    namespace,
)
from tests.support.comparing import difference
from tests.support.log_pod import LogPod, log_pod
from tests.support.node_volume import node_volume

IMAGE = os.environ.get("E2E_NATS_IMAGE", "nats:2.15.2")
SERVER = "httpserver:8400"
HTTP = {"name": "HTTPSERVER_LOG_SERVICE__HTTP__ENABLED", "value": "true"}


def overlay(storage: str, image: tuple[str, str]) -> dict[str, object]:
    """Return the local overlay with NATS, of images and volumes that are here."""
    nats, _, tag = IMAGE.partition(":")
    service = [
        {"op": "replace", "path": "/spec/replicas", "value": 2},
        {"op": "add", "path": "/spec/template/spec/containers/0/env/-", "value": HTTP},
    ]
    pull = "/spec/template/spec/containers/0/imagePullPolicy"
    claim = "/spec/volumeClaimTemplates/0/spec/storageClassName"
    requests = "/spec/template/spec/containers/0/resources/requests/cpu"
    servers = [
        {"op": "replace", "path": pull, "value": "IfNotPresent"},
        {"op": "add", "path": claim, "value": storage},
        {"op": "replace", "path": requests, "value": "50m"},  # one small node
    ]
    return {
        "resources": ["../../overlays/local"],
        "components": ["../../components/nats"],
        "images": [
            {"name": "httpserver", "newName": image[0], "newTag": image[1]},
            {"name": "nats", "newName": nats, "newTag": tag},
        ],
        "patches": [
            {"target": {"kind": kind}, "patch": yaml.safe_dump(patch)}
            for kind, patch in (("Deployment", service), ("StatefulSet", servers))
        ],
    }


@pytest.fixture(scope="module")
def ns(image) -> Iterator[Namespace]:
    """The service and its three servers, ready."""
    name = ":".join(image)
    with contextlib.ExitStack() as stack:
        found = stack.enter_context(namespace("httpserver"))
        folders = stack.enter_context(namespace("httpserver-volumes"))
        folders.create()
        storage = stack.enter_context(node_volume(folders, image=name, count=3))
        apply(overlay(storage, image))
        token = f"--from-literal=token=t{secrets.token_hex(24)}"
        found.kubectl("create", "secret", "generic", "httpserver-nats", token)
        servers = ("rollout", "status", "statefulset/httpserver-nats", WAIT)
        found.kubectl(*servers)
        found.await_rollout()
        found.await_https()
        yield found


def apply(content: dict[str, object]) -> None:
    """Apply an overlay, which has to lie in the tree for a moment."""
    folder = ROOT / "k8s/tests" / f"e2e-{secrets.token_hex(4)}"
    folder.mkdir()
    file = folder / "kustomization.yaml"
    try:
        file.write_text(yaml.safe_dump(content))
        kubectl("apply", "-k", str(folder))
    finally:
        file.unlink()
        folder.rmdir()


@pytest.fixture(scope="module")
def client(ns, image) -> Iterator[LogPod]:
    """Speaks to the log from a pod of its own."""
    with log_pod(ns, SERVER, image=":".join(image)) as found:
        yield found


def test_records_go_through_the_service_by_grpc_and_http(ns, client):
    """A pod appends by the Service, the ingress by HTTP; each sees what is there."""
    before = len(client.values())
    client.run("produce", stdin="".join(f"line {n}\n" for n in range(2_000)))
    record = {"value": "b3ZlciBIVFRQ", "key": "aw=="}
    created = ns.ask("/log/records", method="POST", json=record)

    values = client.values()[before:]
    wanted = [*(f"line {n}" for n in range(2_000)), "over HTTP"]

    assert difference(values, wanted) == ""
    assert (created.status_code, created.json()["offset"]) == (201, before + 2_000)
    found = ns.ask(f"/log/records/{before}").json()
    assert found["value"] == "bGluZSAw"


def leader(ns: Namespace) -> str:
    """Return the pod that leads the stream, as the servers say."""
    base = f"/api/v1/namespaces/{ns.name}/pods/httpserver-nats-0:8222/proxy"
    told = kubectl("get", "--raw", f"{base}/jsz?accounts=true&streams=true")
    (account,) = json.loads(told)["account_details"]
    (stream,) = account["stream_detail"]
    return str(stream["cluster"]["leader"])


class Feeder(threading.Thread):
    """Writes one line after the other, and a last lot after it was told of the end."""

    LOT = 20
    LAST = 5_000

    def __init__(self, feed: IO[str]) -> None:
        super().__init__()
        self._feed = feed
        self.ending = threading.Event()
        self.written = 0

    def run(self) -> None:
        """Write no faster than a thousand lines a second."""
        left = self.LAST
        with contextlib.suppress(BrokenPipeError):  # the command's end tells
            while left > 0:
                for n in range(self.written, self.written + self.LOT):
                    self._feed.write(f"again {n}\n")
                self._feed.flush()
                self.written += self.LOT
                left -= self.LOT if self.ending.is_set() else 0
                time.sleep(0.02)


def test_leaders_pod_killed_by_force_loses_no_acknowledged_record(ns, client):
    """A batch after the other goes in meanwhile; all lines are there once, in order."""
    before = len(client.values())
    words = ("--batch", "20", "--if-unknown", "deduplicated")
    with client.fed("produce", *words) as feed:
        feeder = Feeder(feed)
        feeder.start()
        try:
            await_value(lambda: len(client.values()), lambda n: n > before + 200)
            lost = await_value(lambda: leader(ns), bool)
            ns.kubectl("delete", "pod", lost, "--force", "--grace-period=0")
        finally:
            feeder.ending.set()
        amid = client.values()[before:]
        feeder.join(2 * LIMIT)
        assert not feeder.is_alive(), "nothing was taken any more"
    lines = [f"again {n}" for n in range(feeder.written)]

    assert difference(amid, lines[: len(amid)]) == ""
    assert difference(client.values()[before:], lines) == ""
    await_value(lambda: is_ready(ns, lost), bool)
    assert ns.restarts() == 0


def is_ready(ns: Namespace, pod: str) -> bool:
    """Whether a pod is there, and its container ready."""
    statuses = ns.get("pod", pod)["status"]["containerStatuses"]
    return all(each["ready"] for each in statuses)
