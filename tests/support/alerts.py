"""
Alerts on a cluster: the chart with its rules, faults in every pod, and what Prometheus
and Alertmanager say of it.

    with alerting("httpserver-alerts", image=image) as ns, shortened_rules(ns), \\
            loaded_inside(ns, "/"), faulty(ns, rate=0.5, status=500):
        await_alert(ns, "HttpserverErrorRatioHigh", "firing")
"""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import httpx2
import yaml

from tests.support.cluster import (
    LIMIT,
    Namespace,
    await_value,
    forwarded,
    installed_chart,
)
from tests.support.prometheus import Prometheus
from tools.short_rules import shortened

__all__ = [
    "FACTOR",
    "OPERATED",
    "alert_state",
    "alerting",
    "await_alert",
    "faulty",
    "rules_of",
    "shortened_rules",
]

OPERATED = os.environ.get("E2E_PROMETHEUS", "http://127.0.0.1:30090")
"""URL of the Prometheus that the operator keeps."""

FACTOR = 20
"""What the rules' times are divided by: 5 minutes become 15 seconds, seven scrapes."""

TOKEN = "a-token-for-the-alerts-on-a-cluster"

OPTIONS = {
    "config.server.admin.control.enabled": "true",
    "secret.controlToken": TOKEN,
    "prometheusRule.enabled": "true",
    "serviceMonitor.enabled": "true",
    "serviceMonitor.interval": "2s",
    "serviceMonitor.scrapeTimeout": "2s",
    "replicas": "2",
    "tests.enabled": "false",
}


@contextlib.contextmanager
def alerting(name: str, *options: str, image: tuple[str, str]) -> Iterator[Namespace]:
    """Give a namespace with the chart, scraped, its rules and control endpoints."""
    pairs = ",".join(f"{key}={value}" for key, value in OPTIONS.items())
    host = f"{name}.example.com"
    with installed_chart(name, "--set", pairs, *options, image=image, host=host) as ns:
        query = f'up{{job="httpserver",namespace="{name}"}} == 1'
        await_value(
            lambda: Prometheus(OPERATED).query(query), lambda found: len(found) == 2
        )
        yield ns


@contextlib.contextmanager
def shortened_rules(ns: Namespace, factor: float = FACTOR) -> Iterator[None]:
    """Divide every time in the rules of the release, as docs/alerts.md tells to."""
    get = ("get", "prometheusrule", "httpserver", "-o", "yaml")
    real = yaml.safe_load(ns.kubectl(*get))
    _replace(ns, shortened(real, factor))
    windows = _windows(shortened(real, factor)["spec"]["groups"])
    await_value(
        lambda: rules_of(ns.name),
        lambda rules: (
            {rule["duration"] for rule in rules if "duration" in rule} == windows
        ),
    )
    yield
    _replace(ns, real)


def _replace(ns: Namespace, rule: dict[str, Any]) -> None:
    kept = ("name", "namespace", "labels", "annotations")
    metadata = {key: rule["metadata"][key] for key in kept}
    text = yaml.safe_dump(rule | {"metadata": metadata})
    ns.kubectl("replace", "-f", "-", stdin=text)


def _windows(groups: list[dict[str, Any]]) -> set[float]:
    """Return the `for` of all alerts, in seconds."""
    return {
        int(rule.get("for", "0ms").removesuffix("ms")) / 1000
        for group in groups
        for rule in group["rules"]
        if "alert" in rule
    }


def rules_of(namespace: str) -> list[dict[str, Any]]:
    """Return what Prometheus says of each rule of a namespace."""
    answer = httpx2.get(f"{OPERATED}/api/v1/rules", timeout=60).raise_for_status()
    return [
        rule
        for group in answer.json()["data"]["groups"]
        if f"/{namespace}-httpserver-" in group["file"]
        for rule in group["rules"]
    ]


def alert_state(namespace: str, name: str) -> str:
    """Tell whether an alert of a namespace is `inactive`, `pending` or `firing`."""
    (state,) = (rule["state"] for rule in rules_of(namespace) if rule["name"] == name)
    return str(state)


def await_alert(ns: Namespace, name: str, state: str) -> None:
    """Wait until an alert of a namespace is in a state, which takes minutes."""
    await_value(
        lambda: alert_state(ns.name, name),
        lambda found: found == state,
        limit=2 * LIMIT,
    )


@contextlib.contextmanager
def faulty(ns: Namespace, **fault: Any) -> Iterator[None]:
    """Let requests fail on purpose in every pod, until the end of the block."""
    pods = [pod["metadata"]["name"] for pod in ns.pods()]
    body = {"expires_in": 3600} | fault
    for pod in pods:
        with _operator(ns, pod) as operator:
            operator.post("/faults", json=body).raise_for_status()
    yield
    for pod in pods:
        with _operator(ns, pod) as operator:
            operator.delete("/faults").raise_for_status()


@contextlib.contextmanager
def _operator(ns: Namespace, pod: str) -> Iterator[httpx2.Client]:
    with forwarded(ns, f"pod/{pod}", 9090) as port:
        with httpx2.Client(
            base_url=f"http://127.0.0.1:{port}/control",
            headers={"authorization": f"Bearer {TOKEN}"},
            timeout=60,
            transport=httpx2.HTTPTransport(retries=5),
        ) as client:
            yield client
