"""Loki and promtail for a namespace of a cluster, as helm/monitoring has them."""

from typing import Any

import yaml

from tests.support.cluster import RESTRICTED
from tests.support.loki import loki_config, promtail_config

__all__ = ["loki_and_promtail"]

Manifest = dict[str, Any]

RELABELLING = [
    {"source_labels": [f"__meta_kubernetes_{source}"], "target_label": target}
    for source, target in (
        ("namespace", "namespace"),
        ("pod_name", "pod"),
        ("pod_container_name", "container"),
        ("pod_label_app_kubernetes_io_name", "app"),
    )
] + [
    {
        "source_labels": [
            "__meta_kubernetes_pod_uid",
            "__meta_kubernetes_pod_container_name",
        ],
        "separator": "/",
        "replacement": "/var/log/pods/*$1/*.log",
        "target_label": "__path__",
    }
]
"""What the chart's own scrape job does, as far as httpserver's pods need it."""


def loki_and_promtail(namespace: str, *, loki: str, promtail: str) -> list[Manifest]:
    """
    Return the manifests.

    Args:
        namespace: Where they go, and the only one whose logs are taken.
        loki: Image of Loki.
        promtail: Image of promtail.
    """
    job = {
        "job_name": "kubernetes-pods",
        "kubernetes_sd_configs": [
            {"role": "pod", "namespaces": {"names": [namespace]}}
        ],
        "relabel_configs": RELABELLING,
    }
    settings = promtail_config(
        push="http://loki:3100", positions="/run/promtail/positions.yaml", job=job
    )
    server = loki_config("/var/loki", http_listen_port=3100)
    ring = {"instance_addr": "127.0.0.1", "ring": {"kvstore": {"store": "inmemory"}}}
    server["common"] |= ring
    return [
        _config("loki", server),
        _config("promtail", settings),
        _loki(loki),
        _named("Service", "v1", "loki", spec={
            "selector": {"app": "loki"}, "ports": [{"port": 3100}],
        }),
        *_may_list_pods(),
        _promtail(promtail),
    ]  # fmt: skip


def _loki(image: str) -> Manifest:
    container = {
        **_container("loki", image, "/var/loki"),
        "securityContext": {**RESTRICTED, "runAsUser": 10001},
        "ports": [{"containerPort": 3100}],
    }
    pod = {
        "automountServiceAccountToken": False,
        "securityContext": {"fsGroup": 10001},
        "containers": [container],
        "volumes": [*_volumes("loki"), {"name": "state", "emptyDir": {}}],
    }
    return _workload("Deployment", "loki", pod)


def _promtail(image: str) -> Manifest:
    """Return the DaemonSet; only root may read /var/log/pods."""
    container = _container("promtail", image, "/run/promtail")
    container["securityContext"] = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsUser": 0,
    }
    container["volumeMounts"] += [
        {"name": "pods", "mountPath": "/var/log/pods", "readOnly": True}
    ]
    container["env"] = [
        {"name": "HOSTNAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}
    ]
    volumes = [
        *_volumes("promtail"),
        {"name": "state", "emptyDir": {}},
        {"name": "pods", "hostPath": {"path": "/var/log/pods"}},
    ]
    pod = {
        "serviceAccountName": "promtail",
        "containers": [container],
        "volumes": volumes,
    }
    return _workload("DaemonSet", "promtail", pod)


def _container(name: str, image: str, state: str) -> Manifest:
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["-config.file=/etc/config/config.yaml"],
        "volumeMounts": [
            {"name": "config", "mountPath": "/etc/config"},
            {"name": "state", "mountPath": state},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }


def _volumes(name: str) -> list[Manifest]:
    return [
        {"name": "config", "configMap": {"name": name}},
        {"name": "tmp", "emptyDir": {}},
    ]


def _config(name: str, content: Manifest) -> Manifest:
    data = {"config.yaml": yaml.safe_dump(content)}
    return _named("ConfigMap", "v1", name, data=data)


def _workload(kind: str, name: str, pod: Manifest) -> Manifest:
    labels = {"app": name}
    spec = {
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    return _named(kind, "apps/v1", name, spec=spec)


def _may_list_pods() -> list[Manifest]:
    """Return what lets promtail see the pods of its namespace."""
    rbac = "rbac.authorization.k8s.io/v1"
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "promtail"}
    subject = {"kind": "ServiceAccount", "name": "promtail"}
    return [
        _named("ServiceAccount", "v1", "promtail"),
        _named("Role", rbac, "promtail", rules=[rule]),
        _named("RoleBinding", rbac, "promtail", roleRef=role, subjects=[subject]),
    ]


def _named(kind: str, version: str, name: str, **content: Any) -> Manifest:
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name},
        **content,
    }
