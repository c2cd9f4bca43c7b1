"""A real Alertmanager with our configuration, on a port of the loopback interface."""

import contextlib
import datetime as dt
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.chart import ROOT
from tests.support.programs import free_port, gets
from tests.support.programs import program as run

__all__ = ["SECRETS", "SOURCE", "Alertmanager", "alertmanager", "placed", "program"]

SOURCE = ROOT / "helm" / "monitoring" / "alertmanager.yaml"

SECRETS = "/etc/alertmanager/secrets/alertmanager-notifications"
"""Folder of the secrets in our configuration."""


def program() -> str:
    """Find Alertmanager; without it the test is skipped and says so."""
    found = shutil.which("alertmanager") or shutil.which("prometheus-alertmanager")
    if found is None:
        pytest.skip("no alertmanager is on PATH (Debian: prometheus-alertmanager)")
    return found


def placed(*, mail: str, webhook: str, secrets: str = SECRETS) -> str:
    """
    Return our configuration for another place, and in a hurry.

    The rest is what the file says: routes, inhibition, receivers, TLS.

    Args:
        mail: Host and port of the mail server.
        webhook: URL of the gateway's webhook.
        secrets: Folder of the secrets.
    """
    text = SOURCE.read_text()
    for old, new in (
        ("smtp.example.com:587", mail),
        ("http://httpserver-sms-admin.httpserver-sms:9090/alerts/sms", webhook),
        (SECRETS, secrets),
    ):
        assert old in text, old
        text = text.replace(old, new)
    text = re.sub(r"group_wait: \S+", "group_wait: 500ms", text)
    return re.sub(r"group_interval: \S+", "group_interval: 1s", text)


class Alertmanager:
    """An Alertmanager by its URL."""

    def __init__(self, url: str) -> None:
        self.url = url

    def post(self, *, firing: bool = True, summary: str = "", **labels: str) -> None:
        """Begin an alert, or end it, as Prometheus does."""
        now = dt.datetime.now(dt.UTC)
        alert: dict[str, Any] = {
            "labels": {"job": "httpserver"} | labels,
            "annotations": {"summary": summary} if summary else {},
            "generatorURL": "http://prometheus.example.com/graph",
        }
        if firing:
            alert["endsAt"] = (now + dt.timedelta(hours=1)).isoformat()
        else:
            alert["startsAt"] = (now - dt.timedelta(hours=1)).isoformat()
            alert["endsAt"] = now.isoformat()
        answer = httpx2.post(f"{self.url}/api/v2/alerts", json=[alert], timeout=60)
        answer.raise_for_status()

    def state(self, alertname: str, namespace: str) -> str:
        """Tell whether an alert is `active` or `suppressed`; empty when unknown."""
        alerts = httpx2.get(f"{self.url}/api/v2/alerts", timeout=60).json()
        for each in alerts:
            labels = each["labels"]
            if (labels["alertname"], labels["namespace"]) == (alertname, namespace):
                return str(each["status"]["state"])
        return ""


@contextlib.contextmanager
def alertmanager(
    config: str, folder: Path, *, environment: dict[str, str] | None = None
) -> Iterator[Alertmanager]:
    """Run an Alertmanager with *config*; its files are in *folder*."""
    found = program()
    address = f"127.0.0.1:{free_port()}"
    (folder / "alertmanager.yml").write_text(config)
    command = [
        found,
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
    ]
    url = f"http://{address}"
    ready = gets(f"{url}/-/ready")
    with run(command, log=folder / "log", ready=ready, environment=environment):
        yield Alertmanager(url)
