"""A volume in a folder of a node, for clusters that have no storage of their own."""

import contextlib
import json
import secrets
from collections.abc import Iterator
from typing import Any

from tests.support.cluster import WAIT, Namespace, kubectl

__all__ = ["node_volume"]


@contextlib.contextmanager
def node_volume(
    ns: Namespace, *, image: str, user: int = 10001, count: int = 1
) -> Iterator[str]:
    """
    Give a StorageClass by whose name claims get a volume that outlives its pods.

    Args:
        ns: Where the folders are made ready; it has to be there, and let in pods of
            root.
        image: Has Python; makes the folders the user's, and empties them at the end.
        user: Who writes to the volume.
        count: Claims that get one.
    """
    storage = f"httpserver-e2e-{secrets.token_hex(4)}"
    node = json.loads(kubectl("get", "nodes", "-o", "json"))["items"][0]
    node = node["metadata"]["name"]
    folder = f"/var/tmp/{storage}"
    volumes = [f"{storage}-{number}" for number in range(count)]
    ready = f"import os\nfor name in {volumes}: os.makedirs('/data/' + name)"
    _run(ns, node, folder, image, f"{ready}; os.chown('/data/' + name, {user}, {user})")
    for name in volumes:
        volume = _volume(name, storage, node, f"{folder}/{name}")
        kubectl("create", "-f", "-", stdin=json.dumps(volume))
    try:
        yield storage
    finally:
        clear = "import shutil; shutil.rmtree('/data', ignore_errors=True)"
        _run(ns, node, folder, image, clear)
        gone = ("--wait=false", "--ignore-not-found")
        kubectl("delete", "persistentvolume", *volumes, *gone)


def _volume(name: str, storage: str, node: str, folder: str) -> dict[str, Any]:
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "storageClassName": storage,
            "capacity": {"storage": "10Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": folder},
            "nodeAffinity": {
                "required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}
            },
        },
    }


def _run(ns: Namespace, node: str, folder: str, image: str, code: str) -> None:
    """Run *code* as root on the node, with the folder as `/data`, to its end."""
    container = {
        "name": "python",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", code],
        "securityContext": {"runAsUser": 0},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    path = {"path": folder, "type": "DirectoryOrCreate"}
    spec = {
        "nodeName": node,
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "containers": [container],
        "volumes": [{"name": "data", "hostPath": path}],
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "folder"}}
    ns.kubectl("create", "-f", "-", stdin=json.dumps(pod | {"spec": spec}))
    done = "--for=jsonpath={.status.phase}=Succeeded"
    ns.kubectl("wait", "pod/folder", done, WAIT)
    ns.kubectl("delete", "pod", "folder", "--now", "--wait")
