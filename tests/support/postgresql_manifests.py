"""
PostgreSQL in a pod of a cluster, with TLS by the chart's own authority.

Its data lies on the node, so that it outlives the pod as a volume would: a cluster for
tests need not have a StorageClass. The pod runs what Debian and the public image have
in the same place, without the public image's own start.
"""

from typing import Any

from tests.support.cluster import RESTRICTED

__all__ = ["DATA", "postgresql"]

DATA = "/data"
"""Where the pod sees the folder of the node."""

_USER = 999

_RUN = """
set -eu
PATH=$(printf '%s\\n' /usr/lib/postgresql/*/bin | tail -1):$PATH
export PGDATA=/data/postgresql
if ! [ -f "$PGDATA/PG_VERSION" ]; then
  initdb -U postgres -A trust --encoding=UTF8 --locale=C.UTF-8 >/dev/null
  {
    echo 'local all all trust'
    echo 'hostssl all all all scram-sha-256'
  } >"$PGDATA/pg_hba.conf"
  {
    echo "CREATE ROLE phonebook LOGIN PASSWORD '$PASSWORD';"
    echo 'CREATE DATABASE phonebook OWNER phonebook;'
  } | postgres --single postgres >/dev/null
fi
exec postgres -c listen_addresses='*' -c unix_socket_directories=/tmp -c ssl=on \
  -c ssl_cert_file=/tls/tls.crt -c ssl_key_file=/tls/tls.key
"""


def postgresql(
    namespace: str, *, image: str, node: str, folder: str, password: str
) -> list[dict[str, Any]]:
    """
    Return a certificate, the Secret of the URL, a Deployment and a Service.

    Args:
        namespace: Where.
        image: With PostgreSQL.
        node: Name of the node that has the data.
        folder: Its folder.
        password: Of the user `phonebook`.
    """
    host = f"postgresql.{namespace}.svc"
    url = f"postgresql://phonebook:{password}@{host}/phonebook"
    labels = {"app.kubernetes.io/name": "postgresql"}
    tls = {
        "secretName": "postgresql-tls",
        "dnsNames": [host],
        "issuerRef": {"name": "httpserver-ca", "kind": "Issuer"},
    }
    pod = _pod(image, node=node, folder=folder, password=password)
    return [
        _object("cert-manager.io/v1", "Certificate", "postgresql", spec=tls),
        _object("v1", "Secret", "phonebook", stringData={"url": url}),
        _object(
            "apps/v1",
            "Deployment",
            "postgresql",
            spec={
                "strategy": {"type": "Recreate"},
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        ),
        _object(
            "v1",
            "Service",
            "postgresql",
            spec={"selector": labels, "ports": [{"port": 5432}]},
        ),
    ]


def _object(version: str, kind: str, name: str, **rest: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **rest}


def _pod(image: str, *, node: str, folder: str, password: str) -> dict[str, Any]:
    ready = "/usr/lib/postgresql/*/bin/pg_isready -h /tmp"
    mounts = {"data": DATA, "tls": "/tls", "tmp": "/tmp"}
    return {
        "automountServiceAccountToken": False,
        "nodeName": node,
        "terminationGracePeriodSeconds": 10,
        "securityContext": {"fsGroup": _USER},
        "initContainers": [
            {
                "name": "own",
                "image": image,
                "command": ["chown", f"{_USER}:{_USER}", DATA],
                "securityContext": {"runAsUser": 0},
                "volumeMounts": [{"name": "data", "mountPath": DATA}],
            }
        ],
        "containers": [
            {
                "name": "postgresql",
                "image": image,
                "command": ["sh", "-c", _RUN],
                "env": [{"name": "PASSWORD", "value": password}],
                "readinessProbe": {
                    "exec": {"command": ["sh", "-c", ready]},
                    "periodSeconds": 1,
                },
                "securityContext": {**RESTRICTED, "runAsUser": _USER},
                "volumeMounts": [
                    {"name": name, "mountPath": path} for name, path in mounts.items()
                ],
            }
        ],
        "volumes": [
            {"name": "data", "hostPath": {"path": folder, "type": "DirectoryOrCreate"}},
            {
                "name": "tls",
                "secret": {"secretName": "postgresql-tls", "defaultMode": 0o440},
            },
            {"name": "tmp", "emptyDir": {}},
        ],
    }
