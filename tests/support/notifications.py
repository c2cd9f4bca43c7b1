"""
What takes an alert to a mailbox and a phone, on a cluster: an Alertmanager of the
operator's with our configuration, the gateway as the chart installs it from the example
values, a mail server and a provider of text messages as pods.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.support import mail, sms
from tests.support.alertmanager import Alertmanager, placed
from tests.support.certificates import Authority
from tests.support.cluster import (
    RESTRICTED,
    WAIT,
    Namespace,
    forwarded,
    helm,
)
from tests.support.sms import PROVIDER_TOKEN, RECIPIENTS, WEBHOOK_TOKEN

__all__ = ["ACCOUNT", "World", "config_map", "reached", "secret"]

ACCOUNT = "AC0123456789"

PASSWORD = "password-of-the-mail-account"

MAIL_PORT, PROVIDER_PORT = 8025, 8080

VALUES = Path("helm/httpserver/ci/sms-values.yaml")

SINKS = (("mail.py", mail), ("sms.py", sms))
"""Files of our stand-ins, which need nothing but Python."""


def secret(name: str, **files: str) -> dict[str, Any]:
    """Make a Secret; `_` stands for `-` in the names of the files."""
    data = {key.replace("_", "-"): value for key, value in files.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "stringData": data,
    }


def pod(name: str, image: str, *, port: int, command: list[str]) -> dict[str, Any]:
    """Make a pod that runs one of our stand-ins with the service's own Python."""
    mounts = ("sinks", "mail-tls")
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {
                    "name": name,
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["python", *command],
                    "ports": [{"containerPort": port}],
                    "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
                    "securityContext": RESTRICTED,
                    "volumeMounts": [
                        {"name": each, "mountPath": f"/{each}"} for each in mounts
                    ],
                }
            ],
            "volumes": [
                {"name": "sinks", "configMap": {"name": "sinks"}},
                {"name": "mail-tls", "secret": {"secretName": "mail-tls"}},
            ],
        },
    }


def service(name: str, port: int) -> dict[str, Any]:
    """Make the Service of such a pod."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": port}]},
    }


def operated() -> dict[str, Any]:
    """Make the operator's object of our own Alertmanager."""
    ca = "/etc/alertmanager/configmaps/mail-ca/ca.pem"
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "Alertmanager",
        "metadata": {"name": "notifications"},
        "spec": {
            "image": "localhost/alertmanager:1",
            "imagePullPolicy": "Never",
            "version": "v0.28.1",
            "replicas": 1,
            "configSecret": "alertmanager-configuration",
            # as kube-prometheus-stack-notifications.yaml has it
            "secrets": ["alertmanager-notifications"],
            "configMaps": ["mail-ca"],
            "containers": [
                {
                    "name": "alertmanager",
                    "env": [{"name": "SSL_CERT_FILE", "value": ca}],
                }
            ],
        },
    }


def config_map(name: str, files: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": files,
    }


class World:
    """All that takes part, in one namespace."""

    def __init__(self, ns: Namespace, image: tuple[str, str], folder: Path) -> None:
        self.ns = ns
        self.folder = folder
        self.image = image

    def create(self, *objects: dict[str, Any]) -> None:
        for each in objects:
            self.ns.kubectl("create", "-f", "-", stdin=json.dumps(each))

    def lines(self, target: str) -> list[dict[str, Any]]:
        """Return the lines of JSON that a pod has written."""
        found = self.ns.kubectl("logs", target, "--tail=-1").splitlines()
        return [json.loads(line) for line in found]

    def texts(self, *words: str) -> list[str]:
        """Return who got a text with all *words*, sorted."""
        return sorted(
            each["to"]
            for each in self.lines("pod/provider")
            if all(word in each["text"] for word in words)
        )

    def subjects(self) -> list[str]:
        return [each["subject"] for each in self.lines("pod/mail")]

    def results(self) -> list[str]:
        """Return what came of the messages, as the gateway's log has it."""
        lines = self.lines("deployment/httpserver-sms")
        return [each["result"] for each in lines if each["event"] == "text_message"]

    def start_provider(self) -> None:
        command = ["/sinks/sms.py", str(PROVIDER_PORT)]
        image = ":".join(self.image)
        self.create(pod("provider", image, port=PROVIDER_PORT, command=command))
        self.ns.kubectl("wait", "pod/provider", "--for=condition=Ready", WAIT)

    def start_mail(self) -> None:
        tls = Authority()
        issued = tls.issue(f"mail.{self.ns.name}")
        user = "alertmanager@example.com"
        files = {each: Path(module.__file__).read_text() for each, module in SINKS}
        command = ["/sinks/mail.py", str(MAIL_PORT), "/mail-tls/crt", "/mail-tls/key"]
        image = ":".join(self.image)
        self.create(
            secret("mail-tls", crt=issued.cert, key=issued.key),
            config_map("mail-ca", {"ca.pem": tls.pem}),
            config_map("sinks", files),
            service("mail", MAIL_PORT),
            service("provider", PROVIDER_PORT),
            pod("mail", image, port=MAIL_PORT, command=[*command, user, PASSWORD]),
        )

    def install_gateway(self) -> None:
        """Install the release of the example values, at this cluster's addresses."""
        here = [
            {
                "namespaceSelector": {
                    "matchLabels": {"kubernetes.io/metadata.name": self.ns.name}
                }
            }
        ]
        port = {"port": PROVIDER_PORT, "protocol": "TCP"}
        out = [{"to": [{"podSelector": {}}], "ports": [port]}]
        gateway = {
            "url": f"http://provider.{self.ns.name}:{PROVIDER_PORT}",
            "account": ACCOUNT,
            "recipients": RECIPIENTS,
        }
        name, tag = self.image
        values = {
            "image": {"repository": name, "tag": tag, "pullPolicy": "IfNotPresent"},
            "config": {"sms": gateway, "log": {"format": "json"}},
            "networkPolicy": {"adminFrom": here, "extraEgress": out},
        }
        tokens = {"sms__token": PROVIDER_TOKEN, "sms__webhook_token": WEBHOOK_TOKEN}
        self.create(secret("httpserver-sms") | {"stringData": tokens})
        place = self.folder / "place.yaml"
        place.write_text(yaml.safe_dump(values))
        helm(
            *("install", "httpserver-sms", "helm/httpserver"),
            *("--namespace", self.ns.name, "--wait", WAIT),
            *("-f", str(VALUES), "-f", str(place)),
        )

    def start_alertmanager(self) -> None:
        config = placed(
            mail=f"mail.{self.ns.name}:{MAIL_PORT}",
            webhook=f"http://httpserver-sms-admin.{self.ns.name}:9090/alerts/sms",
        )
        passwords = {"smtp_password": PASSWORD, "sms_webhook_token": WEBHOOK_TOKEN}
        self.create(
            secret("alertmanager-notifications", **passwords),
            secret("alertmanager-configuration", **{"alertmanager.yaml": config}),
            operated(),
        )
        target = "alertmanager/notifications"
        self.ns.kubectl("wait", target, "--for=condition=Available", WAIT)


@contextlib.contextmanager
def reached(ns: Namespace) -> Iterator[Alertmanager]:
    """Give our Alertmanager through a forwarded port."""
    with forwarded(ns, "pod/alertmanager-notifications-0", 9093) as port:
        yield Alertmanager(f"http://127.0.0.1:{port}")
