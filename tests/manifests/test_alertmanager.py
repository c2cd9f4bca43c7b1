"""Alertmanager's configuration: what it is for, as Alertmanager itself reads it."""

import base64
import gzip
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.chart import CHART, ROOT, need_tool, only, render

FOLDER = ROOT / "helm" / "monitoring"
SOURCE = FOLDER / "alertmanager.yaml"
CHARTS = os.environ.get("MONITORING_CHARTS", "")
RULES = sorted(CHART.glob("files/rules/*.yaml"))

with_charts = pytest.mark.skipif(
    not CHARTS, reason="MONITORING_CHARTS names no copies of charts"
)


def source() -> dict[str, Any]:
    """Read the configuration."""
    loaded: dict[str, Any] = yaml.safe_load(SOURCE.read_text())
    return loaded


def values(chart: str) -> dict[str, Any]:
    """Read the values that let *chart* notify."""
    loaded: dict[str, Any] = yaml.safe_load(
        (FOLDER / f"{chart}-notifications.yaml").read_text()
    )
    return loaded


def amtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run amtool."""
    return subprocess.run(
        [need_tool("amtool"), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_alertmanager_takes_the_configuration() -> None:
    """`amtool check-config` finds nothing."""
    done = amtool("check-config", SOURCE)

    assert done.returncode == 0, done.stdout + done.stderr


def test_copies_are_the_source() -> None:
    """The values of both stacks hold what the plain file holds."""
    classic = values("loki-stack")["prometheus"]["alertmanager"]["config"]

    assert values("kube-prometheus-stack")["alertmanager"]["config"] == source()
    assert classic == source()


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ({"severity": "critical"}, ["email-and-sms"]),
        ({"severity": "warning"}, ["email"]),
        ({"severity": "info"}, ["email-digest"]),
        (
            {"severity": "critical", "alertname": "HttpserverTextMessagesLost"},
            ["email"],
        ),
        ({"severity": "page"}, ["email"]),
        ({}, ["email"]),
        ({"severity": "none", "alertname": "Watchdog"}, ["nobody"]),
        ({"severity": "none", "alertname": "InfoInhibitor"}, ["nobody"]),
        ({"severity": "critical", "alertname": "Watchdog"}, ["nobody"]),
    ],
    ids=str,
)
def test_severity_decides_who_hears_of_it(
    labels: dict[str, str], receivers: list[str]
) -> None:
    """The routing tree, as `amtool config routes test` walks through it."""
    given = {"alertname": "HttpserverErrors", "namespace": "shop"} | labels
    done = amtool(
        "config",
        "routes",
        "test",
        f"--config.file={SOURCE}",
        *(f"{name}={value}" for name, value in given.items()),
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == receivers


@pytest.mark.parametrize("chart", ["kube-prometheus-stack", "loki-stack"])
def test_stack_without_notifications_waits_for_no_secret(chart: str) -> None:
    """A first install comes up with nothing made beforehand."""
    text = (FOLDER / f"{chart}-values.yaml").read_text()

    assert "alertmanager-notifications" not in text
    assert "smtp" not in text


def test_secrets_are_read_from_files_that_are_mounted() -> None:
    """No secret is in the configuration; both stacks mount the folder it names."""
    found = re.findall(r"(\w+_file): (\S+)", SOURCE.read_text())
    folders = {str(Path(path).parent) for _, path in found}
    stack = values("kube-prometheus-stack")["alertmanager"]["alertmanagerSpec"]
    (mount,) = values("loki-stack")["prometheus"]["alertmanager"]["extraSecretMounts"]

    assert [name for name, _ in found] == [
        "smtp_auth_password_file",
        "credentials_file",
    ]
    assert folders == {f"/etc/alertmanager/secrets/{name}" for name in stack["secrets"]}
    assert folders == {mount["mountPath"]}
    assert stack["secrets"] == [mount["secretName"]]
    assert "password:" not in SOURCE.read_text()


def test_mail_goes_by_tls_alone() -> None:
    """A password is never sent in clear."""
    assert source()["global"]["smtp_require_tls"] is True


def test_webhook_is_the_one_that_the_gateway_has() -> None:
    """The URL is the admin Service of the release that the example values make."""
    (receiver,) = (one for one in source()["receivers"] if "webhook_configs" in one)
    (webhook,) = receiver["webhook_configs"]
    release = "httpserver-sms"
    gateway = render(CHART / "ci" / "sms-values.yaml", release=release)
    (port,) = only(gateway, "Service", f"{release}-admin")["spec"]["ports"]

    assert webhook["url"] == (
        f"http://{release}-admin.{release}:{port['port']}/alerts/sms"
    )
    assert webhook["http_config"]["follow_redirects"] is False


@pytest.mark.skipif(not RULES, reason="there are no alert rules")
def test_inhibition_names_alerts_that_exist() -> None:
    """A rule that was renamed would mute nothing, and nobody would see it."""
    alerts = {
        rule["alert"]: rule["labels"]["severity"]
        for path in RULES
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    patterns = re.findall(r'alertname =~? "([^"]+)"', SOURCE.read_text())
    wanted = {part for each in patterns for part in each.split("|")}
    unknown = {
        part for part in wanted if not any(re.fullmatch(part, name) for name in alerts)
    }

    # the two that are not ours
    assert unknown == {"Watchdog", "InfoInhibitor"}
    assert set(alerts.values()) <= {"critical", "warning", "info"}


@with_charts
def test_operators_stack_renders_the_source() -> None:
    """The chart's own defaults add nothing: no receiver, rule or template."""
    rendered = render(
        FOLDER / "kube-prometheus-stack-values.yaml",
        FOLDER / "kube-prometheus-stack-notifications.yaml",
        chart=Path(CHARTS, "kube-prometheus-stack"),
        release="kube-prometheus-stack",
    )
    (secret,) = (
        one["data"]
        for one in rendered
        if one["kind"] == "Secret" and "alertmanager.yaml" in one.get("data", {})
    )
    content = base64.b64decode(secret["alertmanager.yaml"])
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    alertmanager = only(rendered, "Alertmanager")["spec"]

    assert yaml.safe_load(content) == source()
    assert alertmanager["secrets"] == ["alertmanager-notifications"]


@with_charts
def test_classic_stack_renders_the_source() -> None:
    """The same, in the ConfigMap of the chart within the chart."""
    rendered = render(
        FOLDER / "loki-stack-values.yaml",
        FOLDER / "loki-stack-notifications.yaml",
        chart=Path(CHARTS, "loki-stack"),
        release="loki",
    )
    (text,) = (
        one["data"]["alertmanager.yml"]
        for one in rendered
        if one["kind"] == "ConfigMap" and "alertmanager.yml" in one.get("data", {})
    )

    (server,) = (
        one["spec"]["template"]["spec"]
        for one in rendered
        if one["kind"] in {"Deployment", "StatefulSet"}
        and "alertmanager" in one["metadata"]["name"]
    )
    mounts = {mount["mountPath"] for mount in server["containers"][0]["volumeMounts"]}

    assert yaml.safe_load(text) == source()
    assert "/etc/alertmanager/secrets/alertmanager-notifications" in mounts
