"""A volume in a folder of a node, for clusters that have no storage of their own."""

import contextlib
import json
import secrets
from collections.abc import Iterator
from typing import Any

from tests.support.cluster import Namespace, kubectl

__all__ = ["node_volume"]


@contextlib.contextmanager
def node_volume(ns: Namespace, *, image: str, user: int = 10001) -> Iterator[str]:
    """
    Give a StorageClass by whose name one claim gets a volume that outlives its pods.

    Args:
        ns: Where the claim will be; it has to be there, and let in pods of root.
        image: Has Python; makes the folder the user's, and empties it at the end.
        user: Who writes to the volume.
    """
    name = f"httpserver-e2e-{secrets.token_hex(4)}"
    node = json.loads(kubectl("get", "nodes", "-o", "json"))["items"][0]
    node = node["metadata"]["name"]
    folder = f"/var/tmp/{name}"
    _run(ns, node, folder, image, f"import os; os.chown('/data', {user}, {user})")
    kubectl("create", "-f", "-", stdin=json.dumps(_volume(name, node, folder)))
    try:
        yield name
    finally:
        clear = "import shutil; shutil.rmtree('/data', ignore_errors=True)"
        _run(ns, node, folder, image, clear)
        kubectl("delete", "persistentvolume", name, "--wait=false")


def _volume(name: str, node: str, folder: str) -> dict[str, Any]:
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "storageClassName": name,
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
    ns.kubectl("wait", "pod/folder", done, "--timeout=60s")
    ns.kubectl("delete", "pod", "folder", "--now", "--wait")
